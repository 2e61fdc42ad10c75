// Predictor as an embedding program uses it, and its kernel on every instruction set: comparison with sums in double
// precision, nothing read or written beyond the caller's columns, no allocation after the first call, many threads. The
// Python tests compare whole networks with the oracle.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <new>
#include <stdexcept>
#include <thread>
#include <vector>

#include "fastreg/predictor.h"
#include "graph_oracle.h"
#include "kernel_buffers.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0   // the sanitizers have allocators of their own
#else
#define COUNTS_ALLOCATIONS 1
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {
std::atomic<int> allocations{0};
std::atomic<std::size_t> largest{0};   // bytes, of what the backend took
void* counted(void* memory) {
  allocations.fetch_add(1);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace

// The ways in which the library takes memory: the operator new of its containers, posix_memalign and mmap of the
// backend. GCC takes them for a pair that does not match where it inlines one of the two.
#pragma GCC diagnostic push
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
void* operator new(std::size_t bytes) { return counted(std::malloc(bytes)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
extern "C" int posix_memalign(void** memory, std::size_t alignment, std::size_t bytes) noexcept {
  allocations.fetch_add(1);
  if (largest.load() < bytes) largest.store(bytes);
  *memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  return *memory == nullptr ? 12 : 0;
}
extern "C" void* mmap(void* where, std::size_t bytes, int protection, int flags, int file, off_t offset) noexcept {
  allocations.fetch_add(1);
  if (largest.load() < bytes) largest.store(bytes);
  return reinterpret_cast<void*>(syscall(SYS_mmap, where, bytes, protection, flags, file, offset));
}
#pragma GCC diagnostic pop
#endif

namespace {

using namespace fastreg;
using namespace fastreg::test;

constexpr float kNaN = __builtin_nanf("");

// Rows at any distance, with NaN between them. The last row ends where readable memory ends.
struct Strided {
  std::size_t rows, cols, stride;
  Edge memory;
  Strided(std::size_t r, std::size_t c, std::size_t gap)
      : rows(r), cols(c), stride(c + gap), memory(r == 0 ? 0 : (r - 1) * (c + gap) + c, Edge::end) {
    for (std::size_t e = 0; e < memory.size(); ++e) {
      if (e % stride >= cols) memory[e] = kNaN;
    }
  }
  float& at(std::size_t i, std::size_t j) { return memory[i * stride + j]; }
  bool gaps_intact() {
    for (std::size_t e = 0; e < memory.size(); ++e) {
      if (e % stride >= cols && !std::isnan(memory[e])) return false;
    }
    return true;
  }
};

// A step, with the arrays that it reads.
struct Layer {
  Panels w;
  Guarded<float> bias, mean, scale;
  InferenceStep step{};

  Layer(std::size_t k, std::size_t cols, ActivationKind activation, bool dense, bool with_bias)
      : w(dense ? k : 1, cols), bias(rounded(cols)), mean(rounded(cols)), scale(rounded(cols)) {
    for (std::size_t j = 0; j < cols; ++j) {
      bias[j] = uniform(-1.0f, 1.0f);
      mean[j] = uniform(-1.0f, 1.0f);
      scale[j] = uniform(-2.0f, 2.0f);
    }
    step.k = k;
    step.cols = cols;
    step.activation = activation;
    if (dense) step.w = w.data.data();
    if (!dense && with_bias) {
      step.mean = mean.data();
      step.scale = scale.data();
    }
    if (with_bias) step.bias = bias.data();
  }
};

void run(const Kernels& k, const std::vector<InferenceStep>& steps, Strided& x, Strided& y, bool reversed) {
  std::size_t widest = 0;
  for (const InferenceStep& step : steps) widest = std::max(widest, ld(step.cols));
  Guarded<float> first(rounded(x.rows * widest)), second(rounded(x.rows * widest));
  k.infer({steps.data(), steps.size(), x.memory.data(), x.stride, y.memory.data(), y.stride, x.rows,
           {first.data(), second.data()}, reversed});
  CHECK(first.guards_intact() && second.guards_intact());
  CHECK(y.gaps_intact());
}

// One row in double precision: the values before the activation, and their tolerances.
void expected_row(const Layer& layer, Strided& x, std::size_t i, std::vector<double>& z, std::vector<double>& error) {
  const InferenceStep& step = layer.step;
  for (std::size_t j = 0; j < step.cols; ++j) {
    double sum = step.bias != nullptr ? static_cast<double>(layer.bias[j]) : 0.0, magnitude = std::abs(sum);
    const auto add = [&](double term) {
      sum += term;
      magnitude += std::abs(term);
    };
    if (step.w != nullptr) {
      for (std::size_t c = 0; c < step.k; ++c)
        add(static_cast<double>(x.at(i, c)) * static_cast<double>(layer.w.at(c, j)));
    } else if (step.scale != nullptr) {
      const auto scale = static_cast<double>(layer.scale[j]);
      add((static_cast<double>(x.at(i, j)) - static_cast<double>(layer.mean[j])) * scale);
    } else {
      add(static_cast<double>(x.at(i, j)));
    }
    z[j] = sum;
    error[j] = (static_cast<double>(step.w != nullptr ? step.k : 2) + 8) * 2 * kHalfUlp * (magnitude + 1.0);
  }
}

void test_step(const Kernels& k, const Layer& layer, std::size_t rows, std::size_t gap) {
  const InferenceStep& step = layer.step;
  check::context = text(k.isa, {step.k, step.cols, rows, gap, static_cast<std::size_t>(step.activation.kind)});
  Strided x(rows, layer.step.k, gap), y(rows, layer.step.cols, gap);
  run(k, {layer.step}, x, y, false);
  std::vector<double> z(layer.step.cols), error(layer.step.cols);
  for (std::size_t i = 0; i < rows; ++i) {
    expected_row(layer, x, i, z, error);
    if (layer.step.activation == ActivationKind::softmax) {
      const double top = *std::max_element(z.begin(), z.end()), worst = *std::max_element(error.begin(), error.end());
      double total = 0.0;
      for (double& value : z) total += value = std::exp(value - top);
      for (std::size_t j = 0; j < z.size(); ++j) {
        const double rounding = (static_cast<double>(z.size()) + 8) * 2 * kHalfUlp;
        CHECK(close(y.at(i, j), z[j] / total, z[j] / total * (2 * worst + rounding)));
      }
    } else {
      for (std::size_t j = 0; j < z.size(); ++j)
        CHECK(close(y.at(i, j), activation(layer.step.activation.kind, z[j]), error[j]));
    }
  }
}

void test_steps(const Kernels& k) {
  for (const std::size_t in : {1, 2, 5, 16, 19, 64, 100, 1027}) {
    for (const std::size_t out : {1, 2, 8, 16, 17, 33, 48, 64, 65, 113, 128, 130, 192, 200, 257}) {
      for (const bool with_bias : {false, true}) {
        const Layer layer(in, out, ActivationKind::relu, true, with_bias);
        for (const std::size_t rows : {1, 2, 5, 19}) test_step(k, layer, rows, rows % 2 * 3);
      }
    }
  }
  for (const ActivationKind kind : element_activations()) {
    for (const std::size_t cols : kSizes) {
      if (cols == 0) continue;
      for (const std::size_t rows : {1, 3}) {
        test_step(k, Layer(7, cols, kind, true, true), rows, 1);
        test_step(k, Layer(cols, cols, kind, false, true), rows, 1);    // normalisation
        test_step(k, Layer(cols, cols, kind, false, false), rows, 1);   // activation alone
      }
    }
  }
  for (const std::size_t cols : {1, 2, 10, 16, 17, 70}) {
    for (const std::size_t rows : {1, 20}) test_step(k, Layer(9, cols, ActivationKind::softmax, true, true), rows, 0);
  }
}

// A row gives the same bits alone and in a batch, with panels visited forwards and backwards, and for any stride.
void test_rows_stand_alone(const Kernels& k) {
  for (const std::size_t hidden : {1, 7, 16, 40, 64, 100, 300}) {
    for (const std::size_t out : {1, 10}) {
      for (const std::size_t in : {1, 10, 129, 1300}) {
        check::context = text(k.isa, {in, hidden, out}).append(" alone");
        const Layer first(in, hidden, ActivationKind::gelu, true, true);
        const Layer last(hidden, out, ActivationKind::tanh, true, true);
        const std::vector<InferenceStep> steps{first.step, last.step};
        Strided x(23, in, 0), together(23, out, 2);
        run(k, steps, x, together, false);
        for (std::size_t i = 0; i < x.rows; ++i) {
          Strided row(1, in, 0), alone(1, out, 0);
          std::memcpy(row.memory.data(), &x.at(i, 0), in * sizeof(float));
          run(k, steps, row, alone, i % 2 == 1);
          CHECK(std::memcmp(&alone.at(0, 0), &together.at(i, 0), out * sizeof(float)) == 0);
        }
      }
    }
  }
}

Network tutorial_network(std::size_t features, std::size_t units) {
  Dense hidden, output;
  hidden.units = units;
  hidden.activation = ActivationKind::relu;
  output.activation = ActivationKind::sigmoid;
  return Network({features, 7, {hidden, BatchNormalization{}, Dropout{0.25f}, output}});
}

struct Batch {
  std::size_t rows, features;
  std::vector<float> x, y;
  Batch(std::size_t n, std::size_t cols) : rows(n), features(cols), x(n * cols), y(n, kNaN) {
    for (float& value : x) value = uniform(-1.0f, 1.0f);
  }
  MatrixView<const float> in() const { return {x.data(), rows, features, features}; }
  MatrixView<float> out() { return {y.data(), rows, 1, 1}; }
};

void test_agrees_with_the_network() {
  const Network network = tutorial_network(20, 50);
  const Predictor predictor(network);
  CHECK(predictor.n_features() == 20 && predictor.n_outputs() == 1);
  CHECK(predictor.summary() == "20 -> 50 relu -> 1 sigmoid");
  CHECK(predictor.flops_per_row() == 2.0 * (20 * 50 + 50));
  CHECK(predictor.work_per_row() > predictor.flops_per_row());
  Batch frozen(300, 20), plain = frozen;
  predictor.predict(frozen.in(), frozen.out());
  network.predict(plain.in(), plain.out());
  for (std::size_t i = 0; i < frozen.rows; ++i) CHECK(close(frozen.y[i], plain.y[i], 1e-6));
  // What network() returns makes the same predictor again.
  Batch again = frozen;
  Predictor(predictor.network()).predict(again.in(), again.out());
  CHECK(std::memcmp(again.y.data(), frozen.y.data(), again.rows * sizeof(float)) == 0);
}

// Every constructor keeps the precision, and highest is what they have without one.
void test_matmul_precision() {
  const Network network = tutorial_network(20, 50);
  const Predictor plain(network);
  const FrozenNetwork frozen = plain.network();
  CHECK(plain.matmul_precision() == MatmulPrecision::highest);
  for (const MatmulPrecision precision : {MatmulPrecision::highest, MatmulPrecision::high, MatmulPrecision::medium}) {
    CHECK(Predictor(network, precision).matmul_precision() == precision);
    CHECK(Predictor(frozen, precision).matmul_precision() == precision);
    CHECK(Predictor(frozen.nodes[0].layers, precision).matmul_precision() == precision);
    CHECK(matmul_precision_from_name(name(precision)) == precision);
    if (matmul_precision_computes(precision)) continue;
    // It stands for highest: the same bits.
    Batch found(77, 20), expected = found;
    Predictor(network, precision).predict(found.in(), found.out());
    plain.predict(expected.in(), expected.out());
    CHECK(std::memcmp(found.y.data(), expected.y.data(), found.rows * sizeof(float)) == 0);
  }
  CHECK(matmul_precision_computes(MatmulPrecision::highest));
  CHECK(matmul_precision_computes(MatmulPrecision::medium) == !matmul_unit().empty());
  CHECK(matmul_precision_computes(MatmulPrecision::high) == (matmul_unit() == "amx"));
  CHECK_THROWS(matmul_precision_from_name("bfloat16"), std::invalid_argument);
}

// Rows of other types give the bits of their float32 copies, in a chain and in a graph, for any number of threads.
void test_other_types() {
  const NetworkSpec spec = GraphMaker(3, false).make(1, 12);
  const Predictor chain(tutorial_network(21, 50)), graph{Network(spec)};
  for (const Predictor* predictor : {&chain, &graph}) {
    const std::size_t cols = predictor->n_features(), outputs = predictor->n_outputs(), gap = 3;
    if (predictor->inputs().size() != 1 || predictor->outputs().size() != 1) continue;
    for (const std::size_t rows : {0, 1, 77, 30000}) {
      const std::size_t stride = cols + gap;
      std::vector<double> wide(rows * stride, 1e300);   // what lies between rows is not read
      std::vector<std::uint8_t> bytes(rows * stride, 255);
      std::vector<float> of_wide(rows * cols), of_bytes(rows * cols), found(rows * outputs), expected(rows * outputs);
      for (std::size_t i = 0; i < rows * cols; ++i) {
        const std::size_t at = i / cols * stride + i % cols;
        wide[at] = std::sin(static_cast<double>(i)) * 3.0;
        bytes[at] = static_cast<std::uint8_t>(i % 251);
        of_wide[i] = static_cast<float>(wide[at]);
        of_bytes[i] = static_cast<float>(bytes[at]);
      }
      const auto same = [&](const Features& x, const std::vector<float>& copy) {
        predictor->predict({copy.data(), rows, cols, cols}, {expected.data(), rows, outputs, outputs});
        CHECK(predictor->predict_features(x, {found.data(), rows, outputs, outputs}));
        CHECK(rows == 0 || std::memcmp(found.data(), expected.data(), found.size() * sizeof(float)) == 0);
      };
      for (const int threads : {1, 3}) {
        set_num_threads(threads);
        same({wide.data(), rows, cols, stride}, of_wide);
        same({bytes.data(), rows, cols, stride}, of_bytes);
        same({of_wide.data(), rows, cols, cols}, of_wide);
      }
      set_num_threads(1);
      if (rows == 0) continue;
      wide[(rows - 1) * stride + cols - 1] = std::numeric_limits<double>::infinity();
      CHECK(predictor->predict_features({wide.data(), rows, cols, stride}, {found.data(), rows, outputs, outputs}));
      wide[(rows - 1) * stride + cols - 1] = -1e39;
      CHECK(!predictor->predict_features({wide.data(), rows, cols, stride}, {found.data(), rows, outputs, outputs}));
    }
    std::vector<double> narrow(cols + 1);
    std::vector<float> out(outputs);
    CHECK_THROWS(predictor->predict_features({narrow.data(), 1, cols + 1, cols + 1}, {out.data(), 1, outputs, outputs}),
                 std::invalid_argument);
  }
}

void test_shapes_are_checked() {
  const Predictor predictor(tutorial_network(4, 8));
  Batch good(3, 4), wide(3, 5);
  std::vector<float> two(6);
  CHECK_THROWS(predictor.predict(wide.in(), wide.out()), std::invalid_argument);
  CHECK_THROWS(predictor.predict(good.in(), (MatrixView<float>{two.data(), 2, 1, 1})), std::invalid_argument);
  CHECK_THROWS(predictor.predict(good.in(), (MatrixView<float>{two.data(), 3, 2, 2})), std::invalid_argument);
  CHECK_THROWS(predictor.predict(good.in(), (MatrixView<float>{two.data(), 3, 1, 0})), std::invalid_argument);
  const Network network = tutorial_network(4, 8);
  CHECK_THROWS(network.predict(good.in(), (MatrixView<float>{two.data(), 3, 1, 0})), std::invalid_argument);
  predictor.predict({good.x.data(), 1, 4, 0}, {two.data(), 1, 1, 0});   // no second row to be anywhere
  network.predict(MatrixView<const float>{good.x.data(), 1, 4, 0}, {two.data(), 1, 1, 0});
  predictor.predict({good.x.data(), 0, 4, 4}, {two.data(), 0, 1, 1});
  CHECK_THROWS(Predictor(std::vector<FrozenLayer>{}), std::invalid_argument);
  FrozenLayer layer{2, 3, std::vector<float>(6), {}, {}, {}, ActivationKind::linear};
  CHECK(Predictor(std::vector{layer}).n_outputs() == 3);
  // Sizes that wrap around where memory is added up.
  for (const std::size_t width : {~std::size_t{0}, ~std::size_t{0} / 3 + 11, std::size_t{1} << 62}) {
    const FrozenLayer endless{width, width, {}, {}, {}, {}, ActivationKind::relu};
    CHECK_THROWS(Predictor(std::vector{endless}), std::invalid_argument);
  }
  layer.kernel.resize(5);
  CHECK_THROWS(Predictor(std::vector{layer}), std::invalid_argument);
  layer.kernel.resize(6);
  layer.bias.resize(2);
  CHECK_THROWS(Predictor(std::vector{layer}), std::invalid_argument);
}

void test_does_not_allocate([[maybe_unused]] const NetworkSpec& spec) {
#if COUNTS_ALLOCATIONS
  const Predictor predictor{Network(spec)};
  CHECK(allocations.load() > 0);
  for (const std::size_t rows : {1, 5, 32, 500, 20000}) {
    Batch batch(rows, 30);
    const std::vector<double> wide(batch.x.begin(), batch.x.end());
    const Features other(wide.data(), rows, 30, 30);
    predictor.predict(batch.in(), batch.out());
    predictor.predict_features(other, batch.out());
    const int before = allocations.load();
    for (int i = 0; i < 3; ++i) {
      predictor.predict(batch.in(), batch.out());
      predictor.predict_features(other, batch.out());
    }
    const int made = allocations.load() - before;
    check::context = text("allocations", {rows, static_cast<std::size_t>(made)});
    CHECK(made == 0);
  }
#endif
}

// Neither do networks of several inputs and outputs, whose values have buffers of their own.
void test_a_graph_does_not_allocate() {
#if COUNTS_ALLOCATIONS
  for (unsigned seed = 0; seed < 6; ++seed) {
    const NetworkSpec spec = GraphMaker(seed, false).make(2, 12);
    const Predictor predictor{Network(spec)};
    const std::vector<std::size_t> widths = widths_of(spec);
    for (const std::size_t rows : {1, 5, 700}) {
      std::vector<std::vector<float>> memory;
      std::vector<MatrixView<const float>> in;
      std::vector<MatrixView<float>> out;
      for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
        memory.emplace_back(rows * widths[i], 0.5f);
        in.push_back({memory.back().data(), rows, widths[i], widths[i]});
      }
      for (const NetworkOutput& output : spec.outputs) {
        memory.emplace_back(rows * widths[output.value]);
        out.push_back({memory.back().data(), rows, widths[output.value], widths[output.value]});
      }
      predictor.predict({in.data(), in.size()}, {out.data(), out.size()});
      const int before = allocations.load();
      for (int i = 0; i < 3; ++i) predictor.predict({in.data(), in.size()}, {out.data(), out.size()});
      const int made = allocations.load() - before;
      check::context = text("allocations", {seed, rows, static_cast<std::size_t>(made)});
      CHECK(made == 0);
    }
  }
#endif
}

// The memory that a thread keeps for very wide layers is limited, because they get fewer rows at a time.
void test_scratch_is_bounded() {
#if COUNTS_ALLOCATIONS
  const Predictor predictor(tutorial_network(3, 40000));
  std::thread([&] {
    Batch batch(300, 3);
    set_num_threads(1);
    largest.store(0);
    predictor.predict(batch.in(), batch.out());
  }).join();
  check::context = text("largest", {largest.load()});
  // Two buffers of 2^18 floats and what is readable behind them, in whole huge pages, and one to align them; without
  // the bound it were 41 MB.
  CHECK(largest.load() > 0 && largest.load() <= (std::size_t{6} << 20));
#endif
}

void test_threads() {
  const Predictor predictor(tutorial_network(30, 100));
  Batch whole(700, 30);
  set_num_threads(1);
  predictor.predict(whole.in(), whole.out());
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < 4; ++rank) {
    threads.emplace_back([&, rank] {
      std::vector<float> y(700);
      for (std::size_t round = 0; round < 50; ++round) {
        const std::size_t n = (round * 37 + rank * 101) % 300 + 1, begin = (round * 13) % 400;
        predictor.predict({whole.x.data() + begin * 30, n, 30, 30}, {y.data(), n, 1, 1});
        wrong += std::memcmp(y.data(), whole.y.data() + begin, n * sizeof(float)) != 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong.load() == 0);
  // And within one call.
  Batch large(60000, 30), shared = large;
  predictor.predict(large.in(), large.out());
  set_num_threads(3);
  predictor.predict(shared.in(), shared.out());
  CHECK(std::memcmp(large.y.data(), shared.y.data(), large.rows * sizeof(float)) == 0);
  set_num_threads(1);
}

// A destructor may predict after the thread's memory was released. Each such call allocates its own and keeps none.
void test_predicts_at_the_end_of_a_thread() {
  const Predictor predictor(tutorial_network(30, 100));
  Batch batch(500, 30);
  struct Last {
    const Predictor& predictor;
    Batch& batch;
    ~Last() {
#if COUNTS_ALLOCATIONS
      for (int call = 0, before = allocations.load(); call < 2; ++call, before = allocations.load()) {
        predictor.predict(batch.in(), batch.out());
        CHECK(allocations.load() > before);
      }
#endif
      predictor.predict(batch.in(), batch.out());
    }
  };
  std::thread([&] {
    thread_local const Last last{predictor, batch};
    predictor.predict(batch.in(), batch.out());
  }).join();
}

// A network without a product has work, too, and threads share it.
void test_elements_alone() {
  const FrozenLayer gelu{20, 20, {}, {}, {}, {}, ActivationKind::gelu};
  const Predictor predictor(std::vector{gelu});
  CHECK(predictor.flops_per_row() == 0.0);
  CHECK(predictor.work_per_row() >= 20.0);
  Batch large(40000, 20);
  std::vector<float> alone(large.x.size()), shared = alone;
  predictor.predict(large.in(), {alone.data(), large.rows, 20, 20});
  set_num_threads(3);
  predictor.predict(large.in(), {shared.data(), large.rows, 20, 20});
  set_num_threads(1);
  CHECK(std::memcmp(alone.data(), shared.data(), alone.size() * sizeof(float)) == 0);
  for (std::size_t i = 0; i < alone.size(); i += 997)
    CHECK(close(alone[i], test::activation(ActivationKind::gelu, large.x[i]), 1e-6));
}

}  // namespace

int main() {
  for (const std::string& isa : available_isas()) {
    const Kernels& kernels = *cpu_kernels(isa.c_str());
    test_steps(kernels);
    test_rows_stand_alone(kernels);
  }
  test_agrees_with_the_network();
  test_matmul_precision();
  test_other_types();
  test_shapes_are_checked();
  test_does_not_allocate(tutorial_network(30, 100).spec());
  test_does_not_allocate({0, 0, {Dense{30, ActivationKind::relu}, Add{}, Dense{}}, {{"x", 30}},
                          {{0, {0}}, {1, {0, 1}}, {2, {2}}}, {{"y", 3}}});
  test_a_graph_does_not_allocate();
  test_scratch_is_bounded();
  test_threads();
  test_predicts_at_the_end_of_a_thread();
  test_elements_alone();
  return report("test_predictor");
}
