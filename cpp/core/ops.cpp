// Single operations of the kernel table on arrays without padding. Kernels need padded rows and panels (kernels.h), so
// operands are copied into padded buffers, and results are copied back. Only Updater works in the caller's memory.
#include "fastreg/ops.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

#include "core/activations.h"
#include "core/check_fields.h"
#include "core/evaluator.h"
#include "core/fork.h"
#include "core/layers/layers.h"
#include "core/optimizer.h"
#include "core/scratch.h"
#include "core/shapes.h"
#include "fastreg/runtime.h"

namespace fastreg::ops {
namespace {

const Kernels& kernels() { return *cpu_backend().kernels; }

// Runs f on a team or on the calling thread, with denormals flushed to zero as in training.
template <class F>
void run(std::size_t threads, F f) {
  cpu_backend().run(
      threads, [](void* context, const Team& team) { (*static_cast<F*>(context))(team); }, &f);
}
template <class F>
void run(F f) {
  run(1, f);
}

template <class T>
void require_size(const char* name, Span<T> values, std::size_t size) {
  if (values.data != nullptr && values.size != size)
    throw std::invalid_argument(std::string(name) + " must have " + std::to_string(size) + " values, got " +
                                std::to_string(values.size));
}

template <class T>
void require_present(const char* name, Span<T> values, std::size_t size) {
  if (values.data == nullptr && size > 0) throw std::invalid_argument(std::string(name) + " must not be left out");
  require_size(name, values, size);
}

void require_rows(Input x) {
  if (x.rows == 0) throw std::invalid_argument("x must have at least one row");
}

Range all_panels(std::size_t cols) { return {0, panel_count(cols)}; }

// Replaces dy by the gradient with respect to the input of the activation. db, if it is not null, becomes its sum over
// rows.
void activation_gradient(const ActivationSpec& activation, const Rows& saved, const Rows& dy, float* db) {
  ActivationKind kind = activation.kind;
  if (needs_rows(kind)) {
    kernels().softmax_backward({dy.cols(), dy.ld(), nullptr, saved.data(), dy.data(), dy.data(), {0, dy.rows()}, kind});
    kind = ActivationKind::linear;
  } else if (!is_fused(kind)) {
    kernels().separate_backward(activation, saved.data(), dy.data(), dy.data(), dy.rows() * dy.ld());
    kind = ActivationKind::linear;
  }
  kernels().activation_backward({kind, saved.data(), dy.data(), dy.data(), db, dy.rows(), dy.ld(), {0, dy.ld()}});
}

// y = f(x), in place allowed.
void activate(const ActivationSpec& activation, const Rows& x, const Rows& y) {
  if (needs_rows(activation.kind))
    kernels().softmax_forward({x.cols(), x.ld(), x.data(), y.data(), nullptr, nullptr, {0, x.rows()}, activation.kind});
  else if (is_fused(activation.kind))
    kernels().activation_forward(activation.kind, x.data(), y.data(), x.rows() * x.ld());
  else
    kernels().separate_forward(activation, x.data(), y.data(), x.rows() * x.ld());
}

}  // namespace

void dense(Input x_in, Input w_in, Values b_in, const ActivationSpec& activation, Output y_out, Output z_out) {
  require_shape("w", w_in, x_in.cols, w_in.cols);
  require_size("b", b_in, w_in.cols);
  require_shape("out", y_out, x_in.rows, w_in.cols);
  if (z_out.data != nullptr) require_shape("z", z_out, x_in.rows, w_in.cols);
  const Rows x(x_in), y(x_in.rows, w_in.cols);
  const Panels w(w_in);
  const Vector b(b_in);
  std::optional<Rows> z;
  if (z_out.data != nullptr) z.emplace(x_in.rows, w_in.cols);
  run([&](const Team&) {
    const bool fused = is_fused(activation.kind);
    float* const own_z = fused && z ? z->data() : nullptr;
    kernels().matmul({x.data(), x.ld(), w.data(), b.data(), y.data(), own_z, y.ld(), x.cols(), y.cols(),
                      fused ? activation.kind : ActivationKind::linear, {0, x.rows()}, all_panels(y.cols())});
    if (fused) return;
    if (z) std::copy_n(y.data(), y.rows() * y.ld(), z->data());
    activate(activation, y, y);
  });
  y.copy_to(y_out);
  if (z) z->copy_to(z_out);
}

void dense_backward(Input x_in, Input w_in, Input saved_in, Input dy_in, const ActivationSpec& activation,
                    Output dx_out, Output dw_out, Span<float> db_out) {
  const std::size_t n = x_in.rows, in = x_in.cols, units = w_in.cols;
  require_shape("w", w_in, in, units);
  require_shape("dy", dy_in, n, units);
  require_shape("saved", saved_in, n, units);
  require_shape("dx", dx_out, n, in);
  require_shape("dw", dw_out, in, units);
  require_size("db", db_out, units);
  const Rows x(x_in), saved(saved_in), dy(dy_in), dx(n, in);
  const Panels w(w_in), dw(in, units);
  const Vector db(padded_ld(units));
  run([&](const Team&) {
    activation_gradient(activation, saved, dy, db.data());
    kernels().matmul_weights(
        {x.data(), x.ld(), dy.data(), dy.ld(), dw.data(), n, in, units, {0, in}, all_panels(units)});
    kernels().matmul_input({dy.data(), dy.ld(), w.data(), dx.data(), dx.ld(), n, in, units, {0, n},
                            all_panels(in)});
  });
  dx.copy_to(dx_out);
  dw.copy_to(dw_out);
  db.copy_to(db_out);
}

void activation(const ActivationSpec& activation, Input x_in, Output y_out) {
  require_shape("out", y_out, x_in.rows, x_in.cols);
  const Rows x(x_in), y(x_in.rows, x_in.cols);
  run([&](const Team&) { activate(activation, x, y); });
  y.copy_to(y_out);
}

void activation_backward(const ActivationSpec& activation, Input saved_in, Input dy_in, Output dx_out) {
  require_shape("saved", saved_in, dy_in.rows, dy_in.cols);
  require_shape("dx", dx_out, dy_in.rows, dy_in.cols);
  const Rows saved(saved_in), dy(dy_in);
  run([&](const Team&) { activation_gradient(activation, saved, dy, nullptr); });
  dy.copy_to(dx_out);
}

void dropout(Input x_in, float rate, std::uint64_t seed, std::uint32_t stream, std::uint32_t step, Output y_out,
             bool* keep) {
  if (!(rate >= 0.0f && rate < 1.0f))
    throw std::invalid_argument("rate must be in [0, 1), got " + std::to_string(rate));
  require_shape("out", y_out, x_in.rows, x_in.cols);
  const Rows x(x_in), y(x_in.rows, x_in.cols);
  const DropoutMasks masks(StepRate(rate, kNotScheduled), {}, stream);
  const std::size_t elements = x.rows() * x.ld();
  const Buffer bits(cpu_backend(), masks.floats(elements) + kLane);
  DropoutMask mask{};
  run([&](const Team& team) {
    const Pass pass{kernels(), team, x.rows(), nullptr, nullptr, seed, step};
    masks.draw(pass, elements, bits.data());
    mask = masks.mask(pass, bits.data());
    kernels().dropout_apply(mask, x.data(), y.data(), {0, round_up(elements, kLane)});
  });
  y.copy_to(y_out);
  if (keep == nullptr) return;
  const std::uint16_t* words = mask.mask;
  for (std::size_t i = 0; i < x.rows(); ++i)
    for (std::size_t j = 0; j < x.cols(); ++j) {
      const std::size_t e = i * x.ld() + j;
      *keep++ = words == nullptr || (words[e / 16] >> (e % 16) & 1) != 0;
    }
}

void batch_norm_train(Input x_in, Values gamma_in, Values beta_in, Span<float> moving_mean, Span<float> moving_variance,
                      float momentum, float epsilon, Output y_out, Span<float> mean_out, Span<float> inv_std_out) {
  require_rows(x_in);
  require_shape("out", y_out, x_in.rows, x_in.cols);
  for (const auto& [name, values] : {std::pair{"gamma", gamma_in},
                                     {"beta", beta_in},
                                     {"mean", Values{mean_out.data, mean_out.size}},
                                     {"inv_std", Values{inv_std_out.data, inv_std_out.size}}})
    require_size(name, values, x_in.cols);
  require_present("moving_mean", moving_mean, x_in.cols);
  require_present("moving_variance", moving_variance, x_in.cols);
  const Rows x(x_in), y(x_in.rows, x_in.cols);
  const Vector gamma(gamma_in), beta(beta_in), mean(x.ld()), inv_std(x.ld());
  const Vector new_mean(Values{moving_mean.data, moving_mean.size}),
      new_variance(Values{moving_variance.data, moving_variance.size});
  run([&](const Team&) {
    kernels().batch_norm_forward_train({x.data(), y.data(), gamma.data(), beta.data(), new_mean.data(),
                                        new_variance.data(), mean.data(), inv_std.data(), momentum, epsilon,
                                        {nullptr, 1.0f}, x.rows(), x.ld(), {0, x.ld()}});
  });
  y.copy_to(y_out);
  new_mean.copy_to(moving_mean);
  new_variance.copy_to(moving_variance);
  mean.copy_to(mean_out);
  inv_std.copy_to(inv_std_out);
}

void batch_norm_infer(Input x_in, Values gamma_in, Values beta_in, Values mean_in, Values variance_in, float epsilon,
                      Output y_out) {
  require_shape("out", y_out, x_in.rows, x_in.cols);
  require_size("gamma", gamma_in, x_in.cols);
  require_size("beta", beta_in, x_in.cols);
  require_present("mean", mean_in, x_in.cols);
  require_present("variance", variance_in, x_in.cols);
  const Rows x(x_in), y(x_in.rows, x_in.cols);
  const Vector gamma(gamma_in), beta(beta_in), mean(mean_in), variance(variance_in);
  run([&](const Team&) {
    kernels().batch_norm_forward_infer({x.data(), y.data(), gamma.data(), beta.data(), mean.data(), variance.data(),
                                        nullptr, nullptr, 0.0f, epsilon, {nullptr, 1.0f}, x.rows(), x.ld(),
                                        {0, x.ld()}});
  });
  y.copy_to(y_out);
}

void batch_norm_backward(Input x_in, Input dy_in, Values gamma_in, Values mean_in, Values inv_std_in, Output dx_out,
                         Span<float> dgamma_out, Span<float> dbeta_out) {
  require_rows(x_in);
  require_shape("dy", dy_in, x_in.rows, x_in.cols);
  require_shape("dx", dx_out, x_in.rows, x_in.cols);
  require_size("gamma", gamma_in, x_in.cols);
  require_present("mean", mean_in, x_in.cols);
  require_present("inv_std", inv_std_in, x_in.cols);
  require_size("dgamma", dgamma_out, x_in.cols);
  require_size("dbeta", dbeta_out, x_in.cols);
  const Rows x(x_in), dy(dy_in);
  const Vector gamma(gamma_in), mean(mean_in), inv_std(inv_std_in), dgamma(x.ld()), dbeta(x.ld());
  run([&](const Team&) {
    kernels().batch_norm_backward({x.data(), dy.data(), nullptr, dy.data(), gamma.data(), mean.data(), inv_std.data(),
                                   dgamma.data(), dbeta.data(), {nullptr, 1.0f}, ActivationKind::linear, nullptr,
                                   x.rows(), x.ld(), {0, x.ld()}});
  });
  dy.copy_to(dx_out);
  dgamma.copy_to(dgamma_out);
  dbeta.copy_to(dbeta_out);
}

void loss(const Loss& loss, Input y_in, Input target_in, Span<const std::int32_t> labels, Values weight,
          Span<float> row_losses, Output dy_out, Output probabilities) {
  require_size("weight", weight, y_in.rows);
  require_size("row_losses", row_losses, y_in.rows);
  require_shape("dy", dy_out, y_in.rows, y_in.cols);
  require_shape("probabilities", probabilities, y_in.rows, y_in.cols);
  if (std::holds_alternative<losses::Function>(loss))
    throw std::invalid_argument("loss: a function of the program is computed by the program itself");
  std::visit([](const auto& chosen) { check_description("loss", chosen); }, loss);
  const char* const refusal = std::visit([&](const auto& chosen) { return refusal_of(chosen, y_in.cols); }, loss);
  if (refusal != nullptr)
    throw std::invalid_argument(std::string("y: ") + refusal + ", got " + std::to_string(y_in.cols));
  std::optional<Rows> target;
  if (takes_labels(loss)) {
    require_present("target", labels, y_in.rows);
    for (const std::int32_t label : labels)
      if (label < 0 || static_cast<std::size_t>(label) >= y_in.cols)
        throw std::invalid_argument("target must be in [0, " + std::to_string(y_in.cols) + "), got " +
                                    std::to_string(label));
  } else {
    require_shape("target", target_in, y_in.rows, y_in.cols);
    target.emplace(target_in);
  }
  const std::vector<float> relative = relative_weights(weight, {});
  const float scale = y_in.rows > 0 ? 1.0f / static_cast<float>(y_in.rows) : 0.0f;
  const Rows y(y_in), dy(y_in.rows, y_in.cols);
  const Vector losses(y_in.rows);
  run([&](const Team&) {
    std::visit(
        [&](const auto& chosen) {
          kernels().loss({loss.index(), &chosen, has_from_logits(chosen), y.data(),
                          target ? target->data() : nullptr, labels.data, relative.empty() ? nullptr : relative.data(),
                          scale, losses.data(), dy.data(), y.cols(), y.ld(), {0, y.rows()}});
        },
        loss);
  });
  losses.copy_to(row_losses);
  dy.copy_to(dy_out);
  y.copy_to(probabilities);
}

// The number of values from which a second thread pays. The pass then takes longer than about 100 us.
constexpr std::size_t kParallelValues = 1'000'000;

bool all_finite(const Features& x) {
  const std::size_t threads = x.rows * x.cols < kParallelValues ? 1 : static_cast<std::size_t>(num_threads());
  std::atomic<bool> finite{true};
  run(threads, [&](const Team& team) {
    const Range mine = team.split(x.rows);
    const bool together = x.stride == x.cols;   // whether there are no gaps between rows
    const std::size_t at_once = together ? mine.end - mine.begin : 1;
    bool good = true;
    for (std::size_t i = mine.begin; i < mine.end && good; i += at_once)
      good = kernels().all_finite(x.row(i), x.type, at_once * x.cols);
    if (!good) finite.store(false, std::memory_order_relaxed);
  });
  return finite.load(std::memory_order_relaxed);
}

void random_words(std::uint64_t seed, std::uint32_t stream, std::uint32_t step, std::uint64_t first, std::size_t n,
                  std::uint32_t* out) {
  kernels().random_words({seed, stream, step}, first, n, out);
}

namespace {

// The number of parameters from which a second thread pays. The pass then takes longer than about 20 us.
constexpr std::size_t kParallelParameters = 200'000;

const Optimizer& checked(const Optimizer& optimizer) {
  std::visit([](const auto& chosen) { check_description("optimizer", chosen); }, optimizer);
  return optimizer;
}

Penalty checked(const Penalty& penalty) {
  if (!(penalty.l1 >= 0.0f)) throw std::invalid_argument("l1 must be >= 0, got " + std::to_string(penalty.l1));
  if (!(penalty.l2 >= 0.0f)) throw std::invalid_argument("l2 must be >= 0, got " + std::to_string(penalty.l2));
  return penalty;
}

}  // namespace

struct Updater::Impl {
  float* parameters;
  std::size_t n;
  OptimizerState state;
  std::uint64_t steps = 0;
  mutable ForkSafe<std::mutex> lock;
};

Updater::Updater(const Optimizer& optimizer, float* parameters, std::size_t n, const Penalty& penalty)
    : impl_(new Impl{
          parameters, n,
          OptimizerState(checked(optimizer), {{0, n, checked(penalty), true}}, n, cpu_backend(),
                         reinterpret_cast<std::uintptr_t>(parameters) / sizeof(float) % kLane),
          0, {}}) {}
Updater::~Updater() = default;
Updater::Updater(Updater&&) noexcept = default;
Updater& Updater::operator=(Updater&&) noexcept = default;

std::uint64_t Updater::steps() const {
  const std::lock_guard guard(impl_->lock);
  return impl_->steps;
}

bool Updater::average(float* out) const {
  const std::lock_guard guard(impl_->lock);
  const float* const average = impl_->state.average();
  if (average == nullptr) return false;
  std::copy_n(average, impl_->n, out);
  return true;
}

void Updater::step(const float* gradient, double rate) {
  struct Job {
    Impl& impl;
    const float* gradient;
    double rate;
  } job{*impl_, gradient, rate};
  const std::size_t threads = impl_->n < kParallelParameters ? 1 : static_cast<std::size_t>(num_threads());
  const std::lock_guard guard(impl_->lock);
  if (impl_->steps == 0 && impl_->state.has_point())
    cpu_backend().run(
        1,
        [](void* now, const Team& team) {
          static_cast<Impl*>(now)->state.enter(team, static_cast<Impl*>(now)->parameters);
        },
        impl_.get());
  impl_->state.advance();   // nothing after this can fail
  ++impl_->steps;
  cpu_backend().run(
      threads,
      [](void* context, const Team& team) {
        const Job& now = *static_cast<Job*>(context);
        now.impl.state.update(kernels(), team, now.impl.parameters, now.gradient,
                              {now.rate, now.impl.state.weight_decay()}, false);
      },
      &job);
}

}  // namespace fastreg::ops
