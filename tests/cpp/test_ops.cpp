// Single operations on matrices with gaps between rows, as an embedding program may have them: they give the same bits
// as compact copies, and read or write nothing in the gaps. The Python tests compare values with the oracle.
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "check.h"
#include "fastreg/ops.h"

namespace {

using namespace fastreg;

constexpr float kNaN = __builtin_nanf("");

// The same values, compact and with `gap` NaNs after each row.
struct Twin {
  std::size_t rows, cols, gap;
  std::vector<float> compact, apart;

  Twin(std::size_t n, std::size_t m, std::size_t between)
      : rows(n), cols(m), gap(between), compact(n * m), apart(n * (m + between), kNaN) {}
  static Twin filled(std::size_t n, std::size_t m, std::size_t between) {
    Twin twin(n, m, between);
    static std::uint32_t state = 1;
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < m; ++j) {
        state = state * 1664525u + 1013904223u;
        twin.compact[i * m + j] = twin.apart[i * (m + between) + j] = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
      }
    }
    return twin;
  }
  ops::Input in(bool strided) const {
    return strided ? ops::Input{apart.data(), rows, cols, cols + gap} : ops::Input{compact.data(), rows, cols, cols};
  }
  ops::Output out(bool strided) {
    return strided ? ops::Output{apart.data(), rows, cols, cols + gap} : ops::Output{compact.data(), rows, cols, cols};
  }
  bool agree() const {
    for (std::size_t i = 0; i < rows; ++i) {
      const float* const row = apart.data() + i * (cols + gap);
      if (std::memcmp(row, compact.data() + i * cols, cols * sizeof(float)) != 0) return false;
      for (std::size_t j = cols; j < cols + gap; ++j) {
        if (!std::isnan(row[j])) return false;
      }
    }
    return true;
  }
};

void test_dense(std::size_t n, std::size_t in, std::size_t units) {
  check::context = "dense " + std::to_string(n) + " " + std::to_string(in) + " " + std::to_string(units);
  const Twin x = Twin::filled(n, in, 3), w = Twin::filled(in, units, 2), dy = Twin::filled(n, units, 1);
  Twin y(n, units, 5), z(n, units, 1), dx(n, in, 4), dw(in, units, 7);
  const std::vector<float> b(units, 0.25f);
  std::vector<float> db(units);
  for (const bool strided : {false, true}) {
    ops::dense(x.in(strided), w.in(strided), {b.data(), units}, ActivationKind::tanh, y.out(strided), z.out(strided));
    ops::dense_backward(x.in(strided), w.in(strided), y.in(strided), dy.in(strided), ActivationKind::tanh,
                        dx.out(strided), dw.out(strided), {db.data(), units});
  }
  CHECK(y.agree() && z.agree() && dx.agree() && dw.agree());
  const auto at = [](const Twin& m, std::size_t i, std::size_t j) {
    return static_cast<double>(m.compact[i * m.cols + j]);
  };
  double sum = 0.25;   // of the last element, which a wrong stride moves furthest
  for (std::size_t k = 0; k < in; ++k) sum += at(x, n - 1, k) * at(w, k, units - 1);
  CHECK(std::abs(at(z, n - 1, units - 1) - sum) < 1e-5 * static_cast<double>(in));
}

// A matrix that is written to must have rows of its own.
void test_rows_that_overlap() {
  check::context = "overlap";
  const Twin x = Twin::filled(3, 4, 0), w = Twin::filled(4, 2, 0);
  std::vector<float> memory(64);
  const ops::Output y{memory.data(), 3, 2, 2}, narrow{memory.data(), 3, 2, 1};
  CHECK_THROWS(ops::dense(x.in(false), w.in(false), {}, ActivationKind::linear, narrow, {}), std::invalid_argument);
  CHECK_THROWS(ops::dense(x.in(false), w.in(false), {}, ActivationKind::linear, y, narrow), std::invalid_argument);
  CHECK_THROWS(ops::activation(ActivationKind::relu, {x.compact.data(), 3, 2, 2}, narrow), std::invalid_argument);
  // One that is read may have them: here all rows are the first one.
  ops::dense({x.compact.data(), 3, 4, 0}, w.in(false), {}, ActivationKind::linear, y, {});
  CHECK(std::memcmp(memory.data(), memory.data() + 4, 2 * sizeof(float)) == 0);
  ops::dense({x.compact.data(), 1, 4, 4}, w.in(false), {}, ActivationKind::linear, {memory.data() + 6, 1, 2, 0}, {});
  CHECK(std::memcmp(memory.data(), memory.data() + 6, 2 * sizeof(float)) == 0);
}

}  // namespace

int main() {
  for (const std::size_t units : {1, 2, 16, 65, 130}) {
    for (const std::size_t in : {1, 3, 70}) {
      for (const std::size_t n : {1, 2, 19}) test_dense(n, in, units);
    }
  }
  test_rows_that_overlap();
  return report("ops");
}
