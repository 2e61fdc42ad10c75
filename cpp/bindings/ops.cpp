// Primitives on NumPy arrays: single operations of the kernel table. Kernels want padded rows and panels (kernels.h), so
// operands are copied into padded scratch and results out of it; only Updater works on the caller's memory in place.
#include "bindings/scratch.h"
#include "core/description.h"
#include "core/layers/layers.h"
#include "core/optimizer.h"

namespace fastreg::bindings {
namespace {

const Kernels& kernels() { return *cpu_backend().kernels; }

void require(bool holds, const std::string& message) {
  if (!holds) throw py::value_error(message);
}

void require_length(Span<const float> values, std::size_t size, const char* name) {
  require(values.data == nullptr || values.size == size,
          std::string(name) + " must have " + std::to_string(size) + " values, got " + std::to_string(values.size));
}

Range all_panels(std::size_t cols) { return {0, (padded_ld(cols) + kPanel - 1) / kPanel}; }

py::tuple dense(const py::object& x_in, const py::object& w_in, const py::object& b_in, const std::string& activation,
                const py::object& out) {
  const ActivationKind kind = activation_from_name(activation);
  const MatrixView<const float> xv = matrix(x_in, "x"), wv = matrix(w_in, "w");
  require(wv.rows == xv.cols, "w must have " + std::to_string(xv.cols) + " rows, as many as x has columns, got " +
                                  std::to_string(wv.rows));
  const Span<const float> bv = vector<float>(b_in, "b");
  require_length(bv, wv.cols, "b");
  const bool keep_z = kind == ActivationKind::gelu || kind == ActivationKind::silu;
  OutputRows y(out, "out", xv.rows, wv.cols);
  py::object z_out = py::none();
  std::optional<OutputRows> z;
  if (keep_z) z.emplace(py::none(), "z", xv.rows, wv.cols);
  const Rows x(xv);
  const Panels w(wv);
  const Vector b(bv);
  run_released(1, [&](const Team&) {
    const bool softmax = kind == ActivationKind::softmax;
    kernels().matmul({x.data(), x.ld(), w.data(), b.data(), y.data(), z ? z->data() : nullptr, y.ld(), xv.cols, wv.cols,
                      softmax ? ActivationKind::linear : kind, {0, xv.rows}, all_panels(wv.cols)});
    if (softmax) kernels().softmax_forward({wv.cols, y.ld(), y.data(), y.data(), nullptr, nullptr, {0, xv.rows}});
  });
  if (z) z_out = z->array();
  return py::make_tuple(y.array(), z_out);
}

void activation_gradient(ActivationKind kind, const Rows& saved, Rows& dy, float* db) {
  if (kind == ActivationKind::softmax) {
    kernels().softmax_backward(
        {dy.cols(), dy.ld(), nullptr, const_cast<float*>(saved.data()), dy.data(), dy.data(), {0, dy.rows()}});
    kind = ActivationKind::linear;
  }
  kernels().activation_backward({kind, saved.data(), dy.data(), dy.data(), db, dy.rows(), dy.ld(), {0, dy.ld()}});
}

py::tuple dense_backward(const py::object& x_in, const py::object& w_in, const py::object& saved_in,
                         const py::object& dy_in, const std::string& activation) {
  const ActivationKind kind = activation_from_name(activation);
  const MatrixView<const float> xv = matrix(x_in, "x"), wv = matrix(w_in, "w"), sv = matrix(saved_in, "saved"),
                                dv = matrix(dy_in, "dy");
  require(wv.rows == xv.cols, "w must have as many rows as x has columns");
  require(dv.rows == xv.rows && dv.cols == wv.cols, "dy must have shape (rows of x, columns of w)");
  require(sv.rows == dv.rows && sv.cols == dv.cols, "saved must have the shape of dy");
  const Rows x(xv), saved(sv);
  Rows dy(dv);
  const Panels w(wv);
  Panels wt(wv.cols, wv.rows), dw(wv.rows, wv.cols);
  OutputRows dx(py::none(), "dx", xv.rows, xv.cols), db(py::none(), "db", 1, wv.cols);
  run_released(1, [&](const Team&) {
    activation_gradient(kind, saved, dy, db.data());
    kernels().matmul_weights({x.data(), x.ld(), dy.data(), dy.ld(), dw.data(), xv.rows, xv.cols, wv.cols,
                              {0, xv.cols}, all_panels(wv.cols)});
    kernels().transpose_panels({w.data(), wt.data(), wv.rows, wv.cols, all_panels(wv.rows)});
    kernels().matmul({dy.data(), dy.ld(), wt.data(), nullptr, dx.data(), nullptr, dx.ld(), wv.cols, xv.cols,
                      ActivationKind::linear, {0, xv.rows}, all_panels(xv.cols)});
  });
  return py::make_tuple(dx.array(), dw.array(), db.array().reshape({static_cast<py::ssize_t>(wv.cols)}));
}

py::array activation(const py::object& x_in, const std::string& name) {
  const ActivationKind kind = activation_from_name(name);
  const MatrixView<const float> xv = matrix(x_in, "x");
  const Rows x(xv);
  OutputRows y(py::none(), "out", xv.rows, xv.cols);
  run_released(1, [&](const Team&) {
    if (kind == ActivationKind::softmax)
      kernels().softmax_forward({xv.cols, x.ld(), x.data(), y.data(), nullptr, nullptr, {0, xv.rows}});
    else
      kernels().activation_forward(kind, x.data(), y.data(), xv.rows * x.ld());
  });
  return y.array();
}

py::array activation_backward(const py::object& saved_in, const py::object& dy_in, const std::string& name) {
  const ActivationKind kind = activation_from_name(name);
  const MatrixView<const float> sv = matrix(saved_in, "saved"), dv = matrix(dy_in, "dy");
  require(sv.rows == dv.rows && sv.cols == dv.cols, "saved must have the shape of dy");
  const Rows saved(sv);
  Rows dy(dv);
  run_released(1, [&](const Team&) { activation_gradient(kind, saved, dy, nullptr); });
  return dy.array();
}

py::tuple dropout(const py::object& x_in, float rate, std::uint64_t seed, std::uint32_t step, std::uint32_t stream,
                  const py::object& out) {
  require(rate >= 0.0f && rate < 1.0f, "rate must be in [0, 1), got " + std::to_string(rate));
  const MatrixView<const float> xv = matrix(x_in, "x");
  const Rows x(xv);
  OutputRows y(out, "out", xv.rows, xv.cols);
  const DropoutMasks masks(rate, stream);
  const std::size_t elements = xv.rows * x.ld();
  Buffer bits(cpu_backend(), masks.floats(elements) + kLane);
  run_released(1, [&](const Team& team) {
    masks.draw({kernels(), team, xv.rows, nullptr, nullptr, seed, step}, elements, bits.data());
    kernels().dropout_apply(masks.mask(bits.data()), x.data(), y.data(), {0, round_up(elements, kLane)});
  });
  py::array_t<bool> keep({static_cast<py::ssize_t>(xv.rows), static_cast<py::ssize_t>(xv.cols)});
  bool* kept = keep.mutable_data();
  const std::uint16_t* words = masks.mask(bits.data()).mask;
  for (std::size_t i = 0; i < xv.rows; ++i)
    for (std::size_t j = 0; j < xv.cols; ++j) {
      const std::size_t e = i * x.ld() + j;
      *kept++ = words == nullptr || (words[e / 16] >> (e % 16) & 1) != 0;
    }
  return py::make_tuple(y.array(), keep);
}

py::tuple batch_norm_train(const py::object& x_in, const py::object& gamma_in, const py::object& beta_in,
                           const py::object& mean_in, const py::object& variance_in, float momentum, float epsilon) {
  const MatrixView<const float> xv = matrix(x_in, "x");
  require(xv.rows >= 1, "x must have at least one row");
  const py::array moving_mean = checked<float>(mean_in, "moving_mean", 1, true);
  const py::array moving_variance = checked<float>(variance_in, "moving_variance", 1, true);
  const Span<const float> gv = vector<float>(gamma_in, "gamma"), bv = vector<float>(beta_in, "beta"),
                          mv = vector<float>(moving_mean, "moving_mean"),
                          vv = vector<float>(moving_variance, "moving_variance");
  require_length(gv, xv.cols, "gamma");
  require_length(bv, xv.cols, "beta");
  require_length(mv, xv.cols, "moving_mean");
  require_length(vv, xv.cols, "moving_variance");
  const Rows x(xv);
  const Vector gamma(gv), beta(bv);
  Vector mm(mv), mvar(vv);
  OutputRows y(py::none(), "out", xv.rows, xv.cols), mean(py::none(), "mean", 1, xv.cols),
      inv_std(py::none(), "inv_std", 1, xv.cols);
  run_released(1, [&](const Team&) {
    kernels().batch_norm_forward_train({x.data(), y.data(), gamma.data(), beta.data(), mm.data(), mvar.data(),
                                        mean.data(), inv_std.data(), momentum, epsilon, {nullptr, 1.0f}, xv.rows,
                                        x.ld(), {0, x.ld()}});
  });
  std::copy_n(mm.data(), xv.cols, const_cast<float*>(mv.data));
  std::copy_n(mvar.data(), xv.cols, const_cast<float*>(vv.data));
  const auto flat = static_cast<py::ssize_t>(xv.cols);
  return py::make_tuple(y.array(), mean.array().reshape({flat}), inv_std.array().reshape({flat}));
}

py::array batch_norm_infer(const py::object& x_in, const py::object& gamma_in, const py::object& beta_in,
                           const py::object& mean_in, const py::object& variance_in, float epsilon,
                           const py::object& out) {
  const MatrixView<const float> xv = matrix(x_in, "x");
  const Span<const float> gv = vector<float>(gamma_in, "gamma"), bv = vector<float>(beta_in, "beta");
  require_length(gv, xv.cols, "gamma");
  require_length(bv, xv.cols, "beta");
  const Rows x(xv);
  const Vector gamma(gv), beta(bv);
  Vector mean(vector<float>(mean_in, "mean", xv.cols)), variance(vector<float>(variance_in, "variance", xv.cols));
  OutputRows y(out, "out", xv.rows, xv.cols);
  run_released(1, [&](const Team&) {
    kernels().batch_norm_forward_infer({x.data(), y.data(), gamma.data(), beta.data(), mean.data(), variance.data(),
                                        nullptr, nullptr, 0.0f, epsilon, {nullptr, 1.0f}, xv.rows, x.ld(),
                                        {0, x.ld()}});
  });
  return y.array();
}

py::tuple batch_norm_backward(const py::object& x_in, const py::object& dy_in, const py::object& gamma_in,
                              const py::object& mean_in, const py::object& inv_std_in) {
  const MatrixView<const float> xv = matrix(x_in, "x"), dv = matrix(dy_in, "dy");
  require(dv.rows == xv.rows && dv.cols == xv.cols, "dy must have the shape of x");
  require(xv.rows >= 1, "x must have at least one row");
  const Span<const float> gv = vector<float>(gamma_in, "gamma");
  require_length(gv, xv.cols, "gamma");
  const Rows x(xv);
  Rows dy(dv);
  const Vector gamma(gv), mean(vector<float>(mean_in, "mean", xv.cols)),
      inv_std(vector<float>(inv_std_in, "inv_std", xv.cols));
  OutputRows dgamma(py::none(), "dgamma", 1, xv.cols), dbeta(py::none(), "dbeta", 1, xv.cols);
  run_released(1, [&](const Team&) {
    kernels().batch_norm_backward({x.data(), dy.data(), dy.data(), gamma.data(), mean.data(), inv_std.data(),
                                   dgamma.data(), dbeta.data(), {nullptr, 1.0f}, ActivationKind::linear, nullptr,
                                   xv.rows, x.ld(), {0, x.ld()}});
  });
  const auto flat = static_cast<py::ssize_t>(xv.cols);
  return py::make_tuple(dy.array(), dgamma.array().reshape({flat}), dbeta.array().reshape({flat}));
}

py::tuple loss(const std::string& name, const py::object& y_in, const py::object& target_in, const py::object& weight_in,
               bool from_logits) {
  const LossKind kind = loss_from_name(name);
  const MatrixView<const float> yv = matrix(y_in, "y");
  const Span<const float> weight = vector<float>(weight_in, "weight");
  require_length(weight, yv.rows, "weight");
  Rows y(yv);
  std::optional<Rows> target;
  Span<const std::int32_t> labels;
  if (kind == LossKind::sparse_categorical_crossentropy) {
    labels = vector<std::int32_t>(target_in, "target", yv.rows);
    for (const std::int32_t label : labels)
      require(label >= 0 && static_cast<std::size_t>(label) < yv.cols,
              "target must be in [0, " + std::to_string(yv.cols) + "), got " + std::to_string(label));
  } else {
    const MatrixView<const float> tv = matrix(target_in, "target");
    require(tv.rows == yv.rows && tv.cols == yv.cols, "target must have the shape of y");
    target.emplace(tv);
  }
  double total = weight.data == nullptr ? static_cast<double>(yv.rows) : 0.0;
  for (const float w : weight) total += static_cast<double>(w);
  const float scale = total > 0.0 ? static_cast<float>(1.0 / total) : 0.0f;
  FloatArray row_losses(static_cast<py::ssize_t>(yv.rows));
  Vector losses(yv.rows);
  Rows dy(yv.rows, yv.cols);
  run_released(1, [&](const Team&) {
    kernels().loss({kind, from_logits, y.data(), target ? target->data() : nullptr, labels.data, weight.data, scale,
                    losses.data(), dy.data(), yv.cols, y.ld(), {0, yv.rows}});
  });
  std::copy_n(losses.data(), yv.rows, row_losses.mutable_data());
  return py::make_tuple(row_losses, dy.array(), y.array());
}

py::array random_words(std::uint64_t seed, std::uint32_t stream, std::uint32_t step, std::uint64_t first,
                       std::size_t n) {
  py::array_t<std::uint32_t> out({static_cast<py::ssize_t>(n), py::ssize_t{4}});
  kernels().random_words({seed, stream, step}, first, n, out.mutable_data());
  return out;
}

}  // namespace

void bind_ops(py::module_& module) {
  const py::none none;
  module.def("dense", &dense, py::arg("x"), py::arg("w"), py::arg("b"), py::arg("activation"), py::arg("out"));
  module.def("dense_backward", &dense_backward, py::arg("x"), py::arg("w"), py::arg("saved"), py::arg("dy"),
             py::arg("activation"));
  module.def("activation", &activation, py::arg("x"), py::arg("activation"));
  module.def("activation_backward", &activation_backward, py::arg("saved"), py::arg("dy"), py::arg("activation"));
  module.def("dropout", &dropout, py::arg("x"), py::arg("rate"), py::arg("seed"), py::arg("step"), py::arg("stream"),
             py::arg("out"));
  module.def("batch_norm_train", &batch_norm_train, py::arg("x"), py::arg("gamma"), py::arg("beta"),
             py::arg("moving_mean"), py::arg("moving_variance"), py::arg("momentum"), py::arg("epsilon"));
  module.def("batch_norm_infer", &batch_norm_infer, py::arg("x"), py::arg("gamma"), py::arg("beta"), py::arg("mean"),
             py::arg("variance"), py::arg("epsilon"), py::arg("out"));
  module.def("batch_norm_backward", &batch_norm_backward, py::arg("x"), py::arg("dy"), py::arg("gamma"),
             py::arg("mean"), py::arg("inv_std"));
  module.def("loss", &loss, py::arg("kind"), py::arg("y"), py::arg("target"), py::arg("weight"),
             py::arg("from_logits"));
  module.def("random_words", &random_words, py::arg("seed"), py::arg("stream"), py::arg("step"), py::arg("first"),
             py::arg("n"));
}

}  // namespace fastreg::bindings
