// Fuzzes load_network: any bytes are either a std::invalid_argument or a network that predicts, and never need much
// more memory than the size of the file. The file is in memory, so that nothing is written to a disk.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "fastreg/network.h"
#include "fastreg/predictor.h"

namespace {

void require(bool good) {
  if (!good) std::abort();
}

int memory_file() {
  const int file = memfd_create("model", MFD_CLOEXEC);
  require(file >= 0);
  return file;
}

// Wider inputs than this take memory for the rows alone.
constexpr std::size_t kMostFeatures = 4096;

// A network that was loaded works: it predicts, and its frozen form predicts and makes the same predictor again.
void use(const fastreg::Network& network) {
  using namespace fastreg;
  constexpr std::size_t kRows = 3;
  std::vector<std::vector<float>> x, y;
  std::vector<Features> features;
  std::vector<MatrixView<const float>> in;
  std::vector<MatrixView<float>> out;
  for (const std::size_t cols : network.input_widths()) {
    if (cols > kMostFeatures) return;
    x.emplace_back(kRows * cols, 0.5f);
    in.push_back({x.back().data(), kRows, cols, cols});
    features.push_back(in.back());
  }
  for (const std::size_t cols : network.output_widths()) {
    if (cols > kMostFeatures) return;
    y.emplace_back(kRows * cols);
    out.push_back({y.back().data(), kRows, cols, cols});
  }
  network.predict({features.data(), features.size()}, {out.data(), out.size()});
  const Predictor frozen(network), again(frozen.network());
  again.predict({in.data(), in.size()}, {out.data(), out.size()});
  require(frozen.summary() == again.summary());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = memory_file();
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  require(ftruncate(file, 0) == 0);
  require(pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  try {
    use(fastreg::load_network(path));
  } catch (const std::invalid_argument& refused) {
    require(std::string(refused.what()).rfind(path + ": ", 0) == 0);   // names the file
  }
  return 0;
}
