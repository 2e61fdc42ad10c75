// Times the entries of the kernel table on one core, for each ISA named on the command line or else for all: matrix
// products in GF/s and per cent of the FMA peak measured beside them, the rest in ns or GB/s. A figure is the best of
// several windows. Pin it to a core: taskset -c 1 ./bench_kernels avx512
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <time.h>
#include <vector>

#include "core/backend.h"
#include "fastreg/runtime.h"

namespace {

using namespace fastreg;

std::size_t rounded(std::size_t n) { return (n + kLane - 1) / kLane * kLane; }
std::size_t ld(std::size_t cols) { return cols == 1 ? 1 : rounded(cols); }

class Buffer {
 public:
  explicit Buffer(std::size_t n) : data_(static_cast<float*>(cpu_backend().allocate(n * sizeof(float)))) {
    for (std::size_t i = 0; i < n; ++i) data_[i] = static_cast<float>((i * 2654435761u) % 1000) * 0.001f - 0.5f;
  }
  ~Buffer() { cpu_backend().release(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  operator float*() const { return data_; }

 private:
  float* data_;
};

// CPU time of this thread: a neighbour on the same core does not count, though it spoils the caches.
double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The seconds one call takes in the best of several windows of at least `window` seconds.
template <class Call>
double seconds(Call call, double window = 0.004) {
  const auto time = [&](std::size_t repeats) {
    const double start = thread_seconds();
    for (std::size_t i = 0; i < repeats; ++i) call();
    return thread_seconds() - start;
  };
  std::size_t repeats = 1;
  while (time(repeats) < window) repeats *= 2;
  double best = time(repeats);
  for (int i = 0; i < 8; ++i) best = std::min(best, time(repeats));
  return best / static_cast<double>(repeats);
}

#if defined(__x86_64__)
#define FASTREG_TWELVE(op, r)                                                                                        \
  op " %%" r "12, %%" r "12, %%" r "0\n\t" op " %%" r "12, %%" r "12, %%" r "1\n\t" op " %%" r "12, %%" r "12, %%" r \
     "2\n\t" op " %%" r "12, %%" r "12, %%" r "3\n\t" op " %%" r "12, %%" r "12, %%" r "4\n\t" op " %%" r "12, %%" r \
     "12, %%" r "5\n\t" op " %%" r "12, %%" r "12, %%" r "6\n\t" op " %%" r "12, %%" r "12, %%" r "7\n\t" op " %%" r \
     "12, %%" r "12, %%" r "8\n\t" op " %%" r "12, %%" r "12, %%" r "9\n\t" op " %%" r "12, %%" r "12, %%" r         \
     "10\n\t" op " %%" r "12, %%" r "12, %%" r "11\n\t"
#define FASTREG_CLOBBERS \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "cc"

// Twelve independent chains of vfmadd231ps; the registers' values do not matter, as long as they are no denormals.
void fma_zmm(std::uint64_t n) {
  asm volatile("vzeroall\n1:\n\t" FASTREG_TWELVE("vfmadd231ps", "zmm") "dec %0\n\tjnz 1b\n\tvzeroupper"
               : "+r"(n)
               :
               : FASTREG_CLOBBERS);
}
void fma_ymm(std::uint64_t n) {
  asm volatile("vzeroall\n1:\n\t" FASTREG_TWELVE("vfmadd231ps", "ymm") "dec %0\n\tjnz 1b\n\tvzeroupper"
               : "+r"(n)
               :
               : FASTREG_CLOBBERS);
}
#endif

// GF/s of multiply-adds; 0 where there is no measurement. The baseline has no fused form: half the ymm figure's half.
double peak(const std::string& isa) {
#if defined(__x86_64__)
  constexpr std::uint64_t kTurns = 4000;
  if (isa == "avx512") return 12 * 32 * kTurns / seconds([] { fma_zmm(kTurns); }) / 1e9;
  if (__builtin_cpu_supports("fma")) {
    const double ymm = 12 * 16 * kTurns / seconds([] { fma_ymm(kTurns); }) / 1e9;
    return isa == "avx2" ? ymm : ymm / 2;
  }
#endif
  return 0.0;
}

struct Layer {
  std::size_t in, out;
};

struct Products {
  Buffer x, y, w, wt, dx, bias;
  std::size_t n, in, out;
  const Kernels& k;
  Products(const Kernels& kernels, std::size_t rows, Layer layer)
      : x(rounded(rows * ld(layer.in))),
        y(rounded(rows * ld(layer.out))),
        w(rounded(layer.in * ld(layer.out))),
        wt(rounded(layer.out * ld(layer.in))),
        dx(rounded(rows * ld(layer.in))),
        bias(rounded(layer.out)),
        n(rows),
        in(layer.in),
        out(layer.out),
        k(kernels) {}
  static Range panels(std::size_t cols) { return {0, (ld(cols) + kPanel - 1) / kPanel}; }
  void forward() const {
    k.matmul({x, ld(in), w, bias, y, nullptr, ld(out), in, out, ActivationKind::relu, {0, n}, panels(out)});
  }
  void input_gradient() const { k.matmul_input({y, ld(out), w, dx, ld(in), in, out, {0, n}, panels(in)}); }
  // What dX would take with a transposed kernel kept: a forward product.
  void input_gradient_cached() const {
    k.matmul({y, ld(out), wt, nullptr, dx, nullptr, ld(in), out, in, ActivationKind::linear, {0, n}, panels(in)});
  }
  void weights() const { k.matmul_weights({x, ld(in), y, ld(out), w, n, in, out, {0, in}, panels(out)}); }
};

void products(const Kernels& k) {
  constexpr Layer kLayers[] = {{10, 64},   {64, 64},  {64, 10},     {64, 1},     {784, 256},
                               {256, 128}, {128, 10}, {1024, 2048}, {2048, 2048}};
  const double top = peak(k.isa);
  std::printf("%s: FMA peak %.0f GF/s; GF/s (%% of it)\n", k.isa, top);
  std::printf("%-12s %5s %18s %18s %18s %18s\n", "layer", "batch", "forward NN", "dX NT", "dX, W^T kept", "dW TN");
  for (const Layer& layer : kLayers) {
    for (const std::size_t n : {1, 32, 128, 512}) {
      const Products p(k, n, layer);
      const double flops = 2.0 * static_cast<double>(n * layer.in * layer.out);
      const double nn = seconds([&] { p.forward(); });
      const double nt = seconds([&] { p.input_gradient(); });
      const double cached = seconds([&] { p.input_gradient_cached(); });
      const double tn = seconds([&] { p.weights(); });
      char name[32];
      std::snprintf(name, sizeof name, "%zu->%zu", layer.in, layer.out);
      std::printf("%-12s %5zu", name, n);
      for (const double t : {nn, nt, cached, tn}) {
        if (n == 1)
          std::printf(" %15.0f ns", t * 1e9);
        else
          std::printf("     %6.1f (%4.1f%%)", flops / t / 1e9, top > 0 ? 100 * flops / t / 1e9 / top : 0.0);
      }
      std::printf("\n");
    }
  }
}

void elements(const Kernels& k) {
  constexpr std::size_t n = 4096;
  const Buffer x(n), y(n);
  constexpr struct {
    const char* name;
    ActivationKind kind;
  } kKinds[] = {{"relu", ActivationKind::relu},        {"sigmoid", ActivationKind::sigmoid},
                {"tanh", ActivationKind::tanh},        {"elu", ActivationKind::elu},
                {"gelu", ActivationKind::gelu},        {"silu", ActivationKind::silu},
                {"softplus", ActivationKind::softplus}};
  for (const auto& entry : kKinds) {
    const double t = seconds([&] { k.activation_forward(entry.kind, x, y, n); });
    std::printf("%-28s %8.3f ns/element\n", entry.name, t * 1e9 / n);
  }
  std::vector<std::uint16_t> mask(n / 16);
  const double bits = seconds([&] { k.dropout_bits({{1, 2, 3}, 32768, mask.data(), {0, n / 128}}); });
  std::printf("%-28s %8.3f ns/64 elements\n", "dropout bits", bits * 1e9 / (n / 64));
  const double softmax = seconds([&] { k.softmax_forward({10, 16, x, y, nullptr, nullptr, {0, 128}}); });
  std::printf("%-28s %8.3f ns/row\n", "softmax 128 x 10", softmax * 1e9 / 128);
  std::vector<std::int32_t> labels(128, 3);
  const Buffer losses(128), dy(n);
  const double loss = seconds([&] {
    k.loss({LossKind::sparse_categorical_crossentropy,
            true,
            y,
            nullptr,
            labels.data(),
            nullptr,
            0.01f,
            losses,
            dy,
            10,
            16,
            {0, 128}});
  });
  std::printf("%-28s %8.3f ns/row\n", "sparse loss 128 x 10", loss * 1e9 / 128);
  const Buffer gamma(64), moving(64), mean(64), db(64);
  const DropoutMask dropout{mask.data(), 2.0f};
  const double forward = seconds([&] {
    k.batch_norm_forward_train(
        {x, y, gamma, gamma, moving, moving, mean, mean, 0.99f, 1e-3f, dropout, 32, 64, {0, 64}});
  });
  const double backward = seconds([&] {
    k.batch_norm_backward({x, dy, y, gamma, mean, mean, db, db, dropout, ActivationKind::relu, db, 32, 64, {0, 64}});
  });
  std::printf("%-28s %8.0f ns\n%-28s %8.0f ns\n", "batch norm 32 x 64", forward * 1e9, "  backward", backward * 1e9);
}

void updates(const Kernels& k) {
  for (const std::size_t n : {std::size_t{912}, std::size_t{10000}, std::size_t{1000000}, std::size_t{50000000}}) {
    const Buffer w(n), g(n), m(n), v(n);
    std::memset(v, 0, n * sizeof(float));
    for (const float l : {0.0f, 1e-4f}) {
      const double t = seconds([&] {
        k.update({UpdateRule::adam, n, w, g, m, v, 1e-9f, 0.9f, 0.9f, 0.999f, 1e-7f, 0.1f, 0.001f, 0.0f, l, l, 1.0f,
                  false, nullptr});
      });
      std::printf("adam%-8s %15zu %8.3f ns/parameter %8.1f GB/s\n", l > 0 ? "+L1+L2" : "", n,
                  t * 1e9 / static_cast<double>(n), 28e-9 * static_cast<double>(n) / t);
    }
  }
}

struct Run {
  std::vector<std::string> isas;
};

}  // namespace

int main(int argc, char** argv) {
  Run run{{argv + 1, argv + argc}};
  if (run.isas.empty()) run.isas = available_isas();
  for (const std::string& isa : run.isas) {
    if (cpu_kernels(isa.c_str()) == nullptr) {
      std::fprintf(stderr, "bench_kernels: %s is not available here\n", isa.c_str());
      return 2;
    }
  }
  cpu_backend().run(
      1,
      [](void* context, const Team&) {
        for (const std::string& isa : static_cast<Run*>(context)->isas) {
          const Kernels& k = *cpu_kernels(isa.c_str());
          products(k);
          elements(k);
          updates(k);
        }
      },
      &run);
  return 0;
}
