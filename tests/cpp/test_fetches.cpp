// What the matrix products fetch ahead: lines of the weights that the call reads, and no others. The lines behind them
// may be those that another member of a team updates, and a line that two cores hold is slow to write.
#include <cstdint>
#include <set>

#include "kernel_buffers.h"
#include "observed_fetches.h"

namespace {

using namespace fastreg;
using namespace fastreg::test;

using Lines = std::set<std::uintptr_t>;

constexpr std::size_t kLine = 64;   // in bytes
Lines fetched;

void add(Lines& lines, const float* begin, const float* end) {
  for (const float* p = begin; p < end; p += kLine / sizeof(float))
    lines.insert(reinterpret_cast<std::uintptr_t>(p) / kLine);
}

bool all_in(const Lines& some, const Lines& lines) {
  for (const std::uintptr_t line : some) {
    if (lines.count(line) == 0) return false;
  }
  return true;
}

std::size_t width_of(const Panels& w, std::size_t panel) {
  return std::min(kPanel, ld(w.cols) - panel * kPanel);
}

// The weights of some panels of outputs.
Lines of_outputs(const Panels& w, Range panels) {
  Lines lines;
  add(lines, &w.data[panels.begin * kPanel * w.rows],
      w.data.data() + (panels.end - 1) * kPanel * w.rows + w.rows * width_of(w, panels.end - 1));
  return lines;
}

// The weights of some panels of inputs, which are rows of each panel of outputs.
Lines of_inputs(const Panels& w, Range panels) {
  Lines lines;
  const std::size_t begin = panels.begin * kPanel, end = std::min(w.rows, panels.end * kPanel);
  for (std::size_t p = 0; p < w.panels(); ++p) {
    const float* const panel = w.data.data() + p * kPanel * w.rows;
    add(lines, panel + begin * width_of(w, p), panel + end * width_of(w, p));
  }
  return lines;
}

// Two members, or one.
std::vector<Range> parts(std::size_t panels) {
  std::vector<Range> found{{0, panels}};
  for (std::size_t cut = 1; cut < panels; ++cut) {
    found.push_back({0, cut});
    found.push_back({cut, panels});
  }
  return found;
}

// Returns how many lines of W were fetched.
std::size_t test_forward(const Kernels& k, std::size_t n, std::size_t in, std::size_t out) {
  const Rows x(n, in);
  const Panels w(in, out);
  Rows y(n, out);
  std::size_t sum = 0;
  for (const Range& panels : parts(w.panels())) {
    check::context = text(k.isa, {n, in, out, panels.begin, panels.end}) + " forward";
    fetched.clear();
    k.matmul({x.data.data(), x.stride, w.data.data(), nullptr, y.data.data(), nullptr, y.stride, in, out,
              ActivationKind::relu, {0, n}, panels});
    CHECK(all_in(fetched, of_outputs(w, panels)));
    sum += fetched.size();
  }
  return sum;
}

// `depth`: of the blocks of W^T that the caller has room for; 0 for none.
std::size_t test_input(const Kernels& k, std::size_t n, std::size_t in, std::size_t out, std::size_t depth) {
  Rows dy(n, out), dx(n, in);
  dy.clear_padding();
  const Panels w(in, out);
  Guarded<float> transposed(std::max<std::size_t>(depth, 1) * kPanel);
  std::size_t sum = 0;
  for (const Range& panels : parts((ld(in) + kPanel - 1) / kPanel)) {
    check::context = text(k.isa, {n, in, out, depth, panels.begin, panels.end}) + " input";
    MatmulInput m{dy.data.data(), dy.stride, w.data.data(), dx.data.data(), dx.stride, n, in, out, {0, n}, panels};
    if (depth > 0) m.transposed = transposed.data();
    m.columns_at_once = depth;
    fetched.clear();
    k.matmul_input(m);
    CHECK(all_in(fetched, of_inputs(w, panels)));
    sum += fetched.size();
  }
  return sum;
}

// Copies of dy lie side by side, in the order of the panels, and those of other panels are another member's.
std::size_t test_weights(const Kernels& k, std::size_t n, std::size_t in, std::size_t out) {
  constexpr std::size_t kInputs = 2 * kStrip;
  const Rows x(n, in), dy(n, out);
  Panels dw(in, out);
  Guarded<float> x_copy(n * kInputs), dy_copy(n * dw.panels() * kPanel);
  std::size_t sum = 0;
  for (const Range& panels : parts(dw.panels())) {
    check::context = text(k.isa, {n, in, out, panels.begin, panels.end}) + " weights";
    fetched.clear();
    k.matmul_weights({x.data.data(), x.stride, dy.data.data(), dy.stride, dw.data.data(), n, in, out, {0, in}, panels,
                      x_copy.data(), &dy_copy[panels.begin * kPanel * n], kInputs});
    Lines own;
    add(own, &dy_copy[panels.begin * kPanel * n], dy_copy.data() + panels.end * kPanel * n);
    add(own, x.data.data(), x.data.data() + x.data.size());   // all members read x
    CHECK(all_in(fetched, own));
    sum += fetched.size();
  }
  return sum;
}

void test_all(const Kernels& k) {
  std::size_t forward = 0, input = 0, weights = 0;
  for (const std::size_t n : {1, 2, 7, 16, 20, 32, 64, 128, 300}) {
    for (const std::size_t in : {40, 64, 256, 784, 1037}) {
      for (const std::size_t out : {10, 64, 100, 128, 200, 256, 330}) forward += test_forward(k, n, in, out);
    }
    for (const std::size_t in : {64, 100, 130, 256, 330}) {
      for (const std::size_t out : {40, 64, 128, 200, 256, 330, 1100}) {
        for (const std::size_t depth : {0, 64, 192}) input += test_input(k, n, in, out, depth);
      }
    }
  }
  for (const std::size_t n : {1, 3, 8}) input += test_input(k, n, 1000, 640, 0);   // W is beyond the L2 cache
  for (const std::size_t n : {2, 128, 600}) {
    for (const std::size_t in : {48, 200, 300}) {
      for (const std::size_t out : {64, 130, 200, 256}) weights += test_weights(k, n, in, out);
    }
  }
  check::context = k.isa;
  CHECK(forward > 0);   // what is fetched is seen
  CHECK(input > 0);
  CHECK(weights > 0);
}

}  // namespace

extern "C" void fastreg_observe_fetch(const void* p) noexcept {
  fetched.insert(reinterpret_cast<std::uintptr_t>(p) / kLine);
}

int main() {
  for (const std::string& isa : available_isas()) test_all(*cpu_kernels(isa.c_str()));
  return report("fetches");
}
