// Losses are computed by the kernel table, or by functions of the program.
#include "core/scoring.h"

#include <stdexcept>
#include <string>
#include <variant>

#include "core/parameters.h"

namespace fastreg {
namespace {

ActivationKind absorbs(const Loss& loss) {
  return std::visit([](const auto& chosen) { return chosen.kAbsorbs; }, loss);
}

}  // namespace

Scoring::Scoring(const OutputTraining& output, std::size_t cols, ActivationKind head)
    : loss_(output.loss),
      cols_(cols),
      ld_(padded_ld(cols)),
      labels_(fastreg::takes_labels(loss_)),
      absorbed_(absorbs(loss_) != ActivationKind::linear && absorbs(loss_) == head),
      gives_logits_(std::visit([](const auto& chosen) { return has_from_logits(chosen); }, loss_)),
      metrics_(output.metrics, output.weighted_metrics, cols, labels_, gives_logits_,
               absorbs(loss_) == ActivationKind::sigmoid || cols == 1) {
  check(head);
}

std::optional<std::size_t> Scoring::function() const {
  if (const auto* const chosen = std::get_if<losses::Function>(&loss_)) return chosen->index;
  return std::nullopt;
}

void Scoring::check(ActivationKind head) const {
  std::visit(
      [&](const auto& loss) {
        using Chosen = std::remove_cvref_t<decltype(loss)>;
        constexpr bool kClasses = Chosen::kTargets == Targets::labels || Chosen::kTargets == Targets::distribution;
        if (kClasses && cols_ < 2)
          throw std::invalid_argument("loss: " + std::string(Chosen::kName) +
                                      " needs at least 2 outputs, the network has " + std::to_string(cols_));
        if (const char* const refusal = refusal_of(loss, cols_))
          throw std::invalid_argument("loss: " + std::string(Chosen::kName) + ": " + refusal + ", the network has " +
                                      std::to_string(cols_) + " outputs");
      },
      loss_);
  if (gives_logits_ && head != ActivationKind::linear)
    throw std::invalid_argument("loss: from_logits=True, but the network ends in a sigmoid or softmax");
  metrics_.check(false);
}

void Scoring::score(const Kernels& kernels, float* y, const BatchTargets& targets, const float* weight, float scale,
                    float* dy, Range rows, const ScoreBuffers& out) const {
  if (gives_logits_) metrics_.measure(kernels, y, targets, rows, out, Outputs::logits);
  if (std::holds_alternative<losses::Function>(loss_))
    return metrics_.measure(kernels, y, targets, rows, out, Outputs::all);
  std::visit(
      [&](const auto& loss) {
        kernels.loss({loss_.index(), &loss, gives_logits_ || absorbed_, y, targets.matrix, targets.labels, weight,
                      scale, out.row_losses, dy, cols_, ld_, rows});
      },
      loss_);
  metrics_.measure(kernels, y, targets, rows, out, gives_logits_ ? Outputs::probabilities : Outputs::all);
}

double Scoring::add(const ScoreBuffers& scores, const float* weight_of_row, std::size_t n, std::size_t blocks,
                    ScoreSums& sums) const {
  double batch_loss = 0.0, batch_weight = static_cast<double>(n);
  if (weight_of_row == nullptr) {
    batch_loss = sum_of_rows(scores.row_losses, n);
  } else {
    batch_weight = sum_of_rows(weight_of_row, n);
    batch_loss = weighted_sum_of_rows(scores.row_losses, weight_of_row, n);
  }
  metrics_.add(scores, weight_of_row, n, blocks, sums);
  sums.loss += batch_loss;
  sums.weight += batch_weight;
  sums.divisor += batch_weight;
  sums.rows += n;
  return batch_weight > 0.0 ? batch_loss / batch_weight : 0.0;
}

}  // namespace fastreg
