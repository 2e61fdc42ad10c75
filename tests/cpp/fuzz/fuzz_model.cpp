// Fuzzes load_network: bytes that may be a model file are either a std::invalid_argument or a network that predicts,
// and never take much more memory than the file has. The file lies in memory, so that nothing is written to a disk.
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

// A network that was loaded works: it predicts, and its frozen form predicts and gives its layers back.
void use(const fastreg::Network& network) {
  using namespace fastreg;
  if (network.n_features() > kMostFeatures || network.n_outputs() > kMostFeatures) return;
  constexpr std::size_t kRows = 3;
  const std::vector<float> x(kRows * network.n_features(), 0.5f);
  std::vector<float> y(kRows * network.n_outputs());
  const MatrixView<float> out{y.data(), kRows, network.n_outputs(), network.n_outputs()};
  network.predict({x.data(), kRows, network.n_features(), network.n_features()}, out);
  const Predictor frozen(network), again(frozen.layers());
  again.predict({x.data(), kRows, network.n_features(), network.n_features()}, out);
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
