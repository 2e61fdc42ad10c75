// The penalty of OrthogonalRegularizer, which is no sum over elements and so no part of the optimizer's pass: its
// gradient is added to that of the batch before. With n vectors v_i, the rows or the columns of a kernel, and u_i = v_i
// / |v_i|, the penalty is factor / (n (n - 1)) times the sum of |u_i u_j| over all pairs i != j. Its gradient is, with
// s_ij = sign(u_i u_j) and s_ii = 0,
//
//   g_i = 2 factor / (n (n - 1)) sum_j s_ij u_j,   dv_i = (g_i - (g_i u_i) u_i) / |v_i|
//
// so that it takes two products of matrices. As in Keras, a norm below 1e-7 counts as 1e-7 and as a constant.
#pragma once
#include <vector>

#include "core/parameters.h"
#include "core/team.h"

namespace fastreg {

class OrthogonalPenalties {
 public:
  // Throws std::invalid_argument if there is not enough memory for the products.
  OrthogonalPenalties(const Parameters& parameters, const Backend& backend);

  bool empty() const { return terms_.empty(); }
  // Does this member's part and syncs the team within it. gradients: null where only the value is wanted.
  void compute(const Kernels& kernels, const Team& team, const float* weights, float* gradients);
  // The value of the last call, once the team has synced.
  double value() const;

 private:
  struct Term {
    const Segment* segment;
    bool columns;
    double factor;                  // factor / (n (n - 1))
    std::size_t count, length;      // of the vectors
    Buffer units, units_across;     // u_i: a rows matrix (count, length), and panels (length, count)
    Buffer units_panels;            // panels (count, length)
    Buffer products, sums;          // u_i u_j, then s_ij: a rows matrix (count, count); sum_j s_ij u_j, like units
    std::vector<double> inverse;    // 1 / |v_i|
    std::vector<double> absolute;   // sum_j |u_i u_j|
  };

  static std::size_t place(const Segment& segment, std::size_t row, std::size_t col);
  static void normalise(const Term& term, Range mine, const float* weights, std::vector<double>& inverse);
  static void take_signs(Term& term, Range mine);
  static void add_gradient(const Term& term, Range mine, float* gradients);

  std::vector<Term> terms_;
};

}  // namespace fastreg
