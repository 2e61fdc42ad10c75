// A frozen network that reads rows of a table: it encodes their codes for each input of the network, runs it, and
// finishes its first output. It never changes.
#pragma once
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "fastreg/predictor.h"
#include "fastreg/table_layer.h"

namespace fastreg {

// How an input of the network is made from a row of codes.
struct TableEncoding {
  TableColumns columns{};   // of the row, in their order
  // True: the input is the features that the columns stand for (table_layer.h). False: it is what a TableInput with
  // these columns reads, code - offset of each column of numbers, and codes as they are of all others.
  bool dense = true;
  std::vector<double> offsets{};   // one for each of `columns`; empty for zeros. Not used if dense
};

// A function that is linear between its points and constant beyond the first and the last one. x ascends strictly, y
// is within [1e-7, 1 - 1e-7] and never falls, so that calibrated probabilities are neither 0 nor 1.
struct CalibrationCurve {
  std::vector<double> x{}, y{};
};

// What becomes of an output: numbers are limited to [lower, upper]; probabilities become those of their logits divided
// by the temperature: of the second of two classes where there is one column, and of each class otherwise. Then each
// goes through its curve, if there are curves, one for each column; several columns are divided by their sum.
struct TableFinish {
  float lower = -std::numeric_limits<float>::infinity(), upper = std::numeric_limits<float>::infinity();
  double temperature = 1.0;
  std::vector<CalibrationCurve> curves{};
};

class TablePredictor {
 public:
  // The network is shared, and only its first output is computed. Throws std::invalid_argument if the encodings do not
  // fit its inputs and each other, or a value is out of range.
  TablePredictor(std::shared_ptr<const Predictor> network, const std::vector<TableEncoding>& encodings,
                 const TableFinish& finish);
  ~TablePredictor();
  TablePredictor(TablePredictor&&) noexcept;
  TablePredictor& operator=(TablePredictor&&) noexcept;

  // The codes of a row, and the columns of the result.
  std::size_t n_codes() const;
  std::size_t n_outputs() const;
  // As Predictor::work_per_row, with the encoding.
  double work_per_row() const;

  // out = the finished first output for rows of codes, NaN where they are missing: x is (n, n_codes) and out is
  // (n, n_outputs) with n >= 0. Any number of threads may call this at the same time. The result of a row depends
  // neither on the other rows nor on the number of threads. The call allocates only if it is the first one on its
  // thread or has a larger batch than all before on it, or the network has more than 16 inputs. Throws
  // std::invalid_argument for wrong shapes.
  void predict(MatrixView<const double> x, MatrixView<float> out) const;

 private:
  struct Parts;
  std::unique_ptr<const Parts> parts_;
};

}  // namespace fastreg
