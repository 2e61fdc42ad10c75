// Times the matrix products and updates of the kernel table on one core, for each ISA named on the command line, or for
// the active one. A figure is the best of several measurements. The tests time the other entries (test_table --bench).
//   bench_kernels [--json] [--cpu N] [avx512 ...]
//   bench_kernels --judge [--cpu N] [avx512 ...]    compares odd shapes with the budgets of shape_budgets.h
// NN is the forward product, TN the gradient of W, and NT the gradient of the input, which includes transposing W.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>
#include <vector>

#include "core/backend.h"
#include "fastreg/optimizers.h"
#include "fastreg/runtime.h"
#include "limit_loops.h"
#include "shape_budgets.h"
#include "timing.h"

namespace {

using namespace fastreg;

std::size_t rounded(std::size_t n) { return (n + kLane - 1) / kLane * kLane; }
std::size_t ld(std::size_t cols) { return cols == 1 ? 1 : rounded(cols); }

class Buffer {
 public:
  explicit Buffer(std::size_t n)
      : data_(static_cast<float*>(cpu_backend().allocate(n * sizeof(float)))), bytes_(n * sizeof(float)) {
    for (std::size_t i = 0; i < n; ++i) data_[i] = static_cast<float>((i * 2654435761u) % 1000) * 0.001f - 0.5f;
  }
  ~Buffer() { cpu_backend().release(data_, bytes_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  operator float*() const { return data_; }

 private:
  float* data_;
  std::size_t bytes_;
};

using bench::peak;
using bench::seconds;

struct Layer {
  std::size_t in, out;
};

struct Products {
  Buffer x, y, w, bias;
  std::size_t n, in, out;
  const Kernels& k;
  Products(const Kernels& kernels, std::size_t rows, Layer layer)
      : x(rounded(rows * ld(layer.in))),
        y(rounded(rows * ld(layer.out))),
        w(rounded(layer.in * ld(layer.out))),
        bias(rounded(layer.out)),
        n(rows),
        in(layer.in),
        out(layer.out),
        k(kernels) {}
  static Range panels(std::size_t cols) { return {0, (ld(cols) + kPanel - 1) / kPanel}; }
  void forward() const {
    k.matmul({x, ld(in), w, bias, y, nullptr, ld(out), in, out, ActivationKind::relu, {0, n}, panels(out)});
  }
  void input_gradient() const { k.matmul_input({y, ld(out), w, x, ld(in), n, in, out, {0, n}, panels(in)}); }
  void weights() const { k.matmul_weights({x, ld(in), y, ld(out), w, n, in, out, {0, in}, panels(out)}); }
};

constexpr Layer kLayers[] = {{10, 64},   {64, 64},  {64, 10},     {64, 1},     {784, 256},
                             {256, 128}, {128, 10}, {1024, 2048}, {2048, 2048}};
// Layers for which no kernel was tuned: odd widths, one column, many columns.
constexpr Layer kOtherLayers[] = {{1, 33},    {17, 5},   {37, 129},   {129, 65},   {100, 333}, {333, 77},
                                  {500, 500}, {784, 31}, {5000, 100}, {1000, 5000}, {1500, 1}};

struct Output {
  bool json;
  const char* isa;
  double peak;
};

// Prints the speed of a product: a rate, or for one row the time itself.
void print_product(const Output& out, const char* form, const Layer& layer, std::size_t n, double time) {
  const auto rows = static_cast<double>(n), in = static_cast<double>(layer.in), cols = static_cast<double>(layer.out);
  const double flops = 2.0 * rows * in * cols, bytes = 4.0 * (rows * in + in * cols + rows * cols);
  char name[64], more[256];
  std::snprintf(name, sizeof name, "%s %zu->%zu, batch %zu", form, layer.in, layer.out, n);
  if (!out.json) {
    std::printf("%-36s %12.3f us %8.1f GF/s %6.1f%%\n", name, time * 1e6, flops / time / 1e9,
                out.peak > 0 ? 100 * flops / time / 1e9 / out.peak : 0.0);
    return;
  }
  std::snprintf(
      more, sizeof more,
      ", \"isa\": \"%s\", \"flops\": %.0f, \"bytes\": %.0f, \"peak\": %.4g, \"shape\": [\"%s\", %zu, %zu, %zu]",
      out.isa, flops, bytes, out.peak, form, n, layer.in, layer.out);
  if (n == 1)
    bench::print_json(name, "time", "ns", time * 1e9, more);
  else
    bench::print_json(name, "rate", "GFLOP/s", flops / time / 1e9, more);
}

void products(const Kernels& k, const Output& out, const Layer& layer, std::size_t n) {
  const Products p(k, n, layer);
  print_product(out, "NN", layer, n, seconds([&] { p.forward(); }));
  print_product(out, "NT", layer, n, seconds([&] { p.input_gradient(); }));
  print_product(out, "TN", layer, n, seconds([&] { p.weights(); }));
}

void all_products(const Kernels& k, const Output& out) {
  for (const Layer& layer : kLayers) {
    for (const std::size_t n : {1, 32, 128, 512}) products(k, out, layer, n);
  }
  for (const Layer& layer : kOtherLayers) {
    for (const std::size_t n : {1, 7, 33, 1000}) products(k, out, layer, n);
  }
}

double cache_bytes(int name, double usual) {
  const long bytes = sysconf(name);
  return bytes > 0 ? static_cast<double>(bytes) : usual;
}

volatile float sink;

// A level is measured with data that fill half of it, and with the widest vectors, whatever the kernels have.
bench::Limits limits(double peak) {
  const bench::LimitLoops& loops = *bench::limit_loops(available_isas().back().c_str());
  const double l1 = cache_bytes(_SC_LEVEL1_DCACHE_SIZE, 32e3), l2 = cache_bytes(_SC_LEVEL2_CACHE_SIZE, 1e6);
  bench::Limits out{peak * 1e9, {{l1, 0, 0}, {l2, 0, 0}, {16 * l2, 0, 0}, {128 * l2, 0, 0}}};
  for (bench::Limits::Level& level : out.levels) {
    const std::size_t n = static_cast<std::size_t>(level.bytes / 2) / sizeof(float) / 128 * 128;
    const Buffer x(n);
    const double bytes = 4.0 * static_cast<double>(n);
    level.read = bytes / seconds([&] { sink = loops.read(x, n); });
    level.write = bytes / seconds([&] { loops.write(x, n); });
  }
  return out;
}

// Times odd widths and batches and prints the worst ones. False if one takes longer than its budget.
bool judge(const Kernels& k, double peak) {
  const bench::Limits limit = limits(peak);
  std::printf("%s: FMA peak %.0f GF/s; reads / writes in GB/s:", k.isa, peak);
  for (const bench::Limits::Level& level : limit.levels)
    std::printf(" %.0f / %.0f", level.read * 1e-9, level.write * 1e-9);
  std::printf("\n");
  constexpr double kLeast = 0.6;
  constexpr std::size_t kWidths[] = {1, 7, 33, 65, 100, 257, 1000, 5000};
  struct Verdict {
    std::string name;
    double share, time;
  };
  std::vector<Verdict> verdicts;
  const auto add = [&](const char* form, Layer layer, std::size_t n, double time) {
    const double asked = bench::budget({form[1] == 'N' ? (form[0] == 'N' ? bench::Form::forward : bench::Form::weights)
                                                       : bench::Form::input,
                                        n, layer.in, layer.out},
                                       limit);
    char name[64];
    std::snprintf(name, sizeof name, "%s %zu->%zu, batch %zu", form, layer.in, layer.out, n);
    verdicts.push_back({name, asked / time, time});
  };
  constexpr double kWindow = 0.001;
  for (const std::size_t in : kWidths) {
    for (const std::size_t out : kWidths) {
      if (in * out > 5'000'000 || in * out == 1) continue;
      for (const std::size_t n : {1, 7, 33, 1000}) {
        const Products p(k, n, {in, out});
        add("NN", {in, out}, n, bench::seconds([&] { p.forward(); }, kWindow));
        add("NT", {in, out}, n, bench::seconds([&] { p.input_gradient(); }, kWindow));
        add("TN", {in, out}, n, bench::seconds([&] { p.weights(); }, kWindow));
      }
    }
  }
  std::sort(verdicts.begin(), verdicts.end(), [](const Verdict& a, const Verdict& b) { return a.share < b.share; });
  std::size_t below = 0;
  for (const Verdict& v : verdicts) below += v.share < kLeast;
  std::printf("%s: %zu of %zu shapes below %.0f %% of their budgets; the worst:\n", k.isa, below, verdicts.size(),
              100 * kLeast);
  for (std::size_t i = 0; i < std::min(verdicts.size(), std::max<std::size_t>(below, 12)); ++i)
    std::printf("  %-28s %12.3f us %6.1f %%\n", verdicts[i].name.c_str(), verdicts[i].time * 1e6,
                100 * verdicts[i].share);
  return below == 0;
}

// Some optimizers with their operations (a square root or a division counts as one) and bytes per parameter.
constexpr SGD kSgd;
constexpr RMSprop kRmsprop;
constexpr Adam kAdam;
constexpr struct {
  const char* name;
  std::size_t optimizer;
  const void* description;
  double flops, bytes;
} kRules[] = {{"sgd", index_of<SGD>(Optimizers()), &kSgd, 2, 12},
              {"rmsprop", index_of<RMSprop>(Optimizers()), &kRmsprop, 8, 20},
              {"adam", index_of<Adam>(Optimizers()), &kAdam, 12, 28}};

void updates(const Kernels& k, const Output& out) {
  for (const std::size_t n : {std::size_t{912}, std::size_t{10000}, std::size_t{1000000}, std::size_t{50000000}}) {
    const Buffer w(n), g(n), m(n), v(n);
    std::memset(m, 0, n * sizeof(float));
    std::memset(v, 0, n * sizeof(float));
    for (const auto& rule : kRules) {
      for (const float l : {0.0f, 1e-4f}) {
        const double t = seconds([&] {
          k.update({rule.optimizer, rule.description, n, w, g, {m, v, nullptr}, 1e-9f, {0.1f, 0.001f, 1.0f}, 0.0f, l, l,
                    1.0f, false, nullptr, 0.0f, nullptr, 0.0f});
        });
        const double count = static_cast<double>(n), flops = (rule.flops + (l > 0 ? 5 : 0)) * count;
        char name[64], more[160];
        std::snprintf(name, sizeof name, "update %s%s, n %zu", rule.name, l > 0 ? "+l1+l2" : "", n);
        if (!out.json) {
          std::printf("%-36s %12.3f us %8.1f GB/s\n", name, t * 1e6, rule.bytes * count / t / 1e9);
          continue;
        }
        std::snprintf(more, sizeof more, ", \"isa\": \"%s\", \"flops\": %.0f, \"bytes\": %.0f, \"peak\": %.4g",
                      out.isa, flops, rule.bytes * count, out.peak);
        bench::print_json(name, "rate", "GB/s", rule.bytes * count / t / 1e9, more);
      }
    }
  }
}

struct Run {
  bool json = false, judge = false, good = true;
  std::vector<std::string> isas;
};

}  // namespace

int main(int argc, char** argv) {
  Run run;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--json") {
      run.json = true;
    } else if (word == "--judge") {
      run.judge = true;
    } else if (word == "--cpu" && i + 1 < argc) {
      if (!bench::pin(std::atoi(argv[++i]))) std::fprintf(stderr, "bench_kernels: cannot run on CPU %s\n", argv[i]);
    } else {
      run.isas.push_back(word);
    }
  }
  if (run.isas.empty()) run.isas = {active_isa()};
  for (const std::string& isa : run.isas) {
    if (cpu_kernels(isa.c_str()) == nullptr) {
      std::fprintf(stderr, "bench_kernels: %s is not available here\n", isa.c_str());
      return 2;
    }
  }
  cpu_backend().run(
      1,
      [](void* context, const Team&) {
        Run& wanted = *static_cast<Run*>(context);
        for (const std::string& isa : wanted.isas) {
          const Kernels& k = *cpu_kernels(isa.c_str());
          const Output out{wanted.json, k.isa, peak(isa)};
          if (wanted.judge) {
            wanted.good &= judge(k, out.peak);
            continue;
          }
          if (!out.json) std::printf("%s: FMA peak %.0f GF/s; time of a call, rate, %% of the peak\n", k.isa, out.peak);
          all_products(k, out);
          updates(k, out);
        }
      },
      &run);
  return run.good ? 0 : 1;
}
