// Brings the constrained weights of a network back under their constraints, after an update. A team divides columns,
// or rows, whose norms are computed as a whole by one member, so that the result does not depend on the team.
#pragma once
#include <variant>
#include <vector>

#include "core/parameters.h"
#include "core/team.h"

namespace fastreg {

class ConstraintPass {
 public:
  explicit ConstraintPass(const Parameters& parameters);

  bool empty() const { return weights_.empty(); }
  // Does this member's part. The team syncs within it where the norm of a whole kernel is constrained.
  void apply(const Team& team, float* weights);

 private:
  // The norm that a vector of a norm is to have; Keras's formulas (fastreg/constraints.h).
  struct NormRule {
    double least = 0.0, most = 0.0, rate = 1.0;
    double factor(double square) const;
  };
  enum class Vectors { elements, columns, rows, all };
  struct Constrained {
    std::size_t offset, rows, ld, width;   // width: columns that lie side by side in a strip
    Vectors vectors;
    NormRule rule;
  };

  static Constrained constrained(const Segment& segment);
  void scale_columns(const Team& team, const Constrained& weight, float* w) const;
  void scale_rows(const Team& team, const Constrained& weight, float* w) const;
  void scale_all(const Team& team, const Constrained& weight, float* w);

  std::vector<Constrained> weights_;
  std::vector<double> squares_;   // of each strip, where the norm of a whole kernel is constrained
};

}  // namespace fastreg
