// Cases for every entry of the kernel table, at the sizes of real layers.
// test_table.cpp runs them on each instruction set, compares the results with those of the baseline and, with --bench,
// times the same calls. It also checks that every entry has a case.
#pragma once
#include "fastreg/losses.h"
#include "kernel_case_list.h"

namespace fastreg::test {

// The cases; every list has the same operands.
class Cases : public CaseList {
 public:
  Cases() {
    generator().seed(11);
    products(1, 64, 64);
    products(1, 784, 256);
    products(5, 256, 128);
    products(32, 10, 64);
    products(128, 784, 256);
    products(128, 128, 10);
    for (const ActivationKind kind : element_activations()) activation(kind, 4096);
    for (const ActivationKind kind : element_activations()) activation_gradient(kind, 128, 256);
    for_each_separate([&](const ActivationSpec& spec, auto) { separate(spec, 4096); });
    softmax(128, 10, ActivationKind::softmax);
    softmax(128, 10, math::kSeparateKind<math::LogSoftmax>);
    softmax(128, 10, math::kSeparateKind<math::Sparsemax>);
    for (const RowStatistic statistic : {RowStatistic::unit, RowStatistic::root_mean_square, RowStatistic::standard})
      row_norm(128, 256, statistic);
    for (const bool rectified : {false, true}) feature_scale(128, 256, rectified);
    table(128, 128);
    periodic(256, 8, 16, 3);
    batch_norm(32, 64);
    batch_norm(128, 256);
    dropout(128 * 256);
    combine(128 * 256);
    for_each_type(Losses(), [&]<class Loss>(Type<Loss>) { loss<Loss>(128, 10); });
    largest(128, 10);
    largest(128, 100);
    for_each_rule<Double>([&](const auto& description, auto rule) {
      for (const bool any_option : {false, true}) update(description, rule, 10000, any_option);
    });
    gather(128, 784);
    scans(100000);
    random_words(4096);
    normals(1024);
    for (const std::size_t rows : {1, 32}) {
      inference(rows, 10, 64, 1);
      inference(rows, 784, 256, 10);
    }
  }

 private:
  void products(std::size_t n, std::size_t in, std::size_t out) {
    const double flops = 2.0 * static_cast<double>(n * in * out);
    auto w = std::make_shared<Panels>(in, out);
    auto dw = std::make_shared<Panels>(in, out);
    keep(w); keep(dw);
    const Floats *x = floats(n * ld(in)), *dy = floats(n * ld(out)), *bias = floats(out);
    Floats *y = floats(n * ld(out)), *dx = floats(n * ld(in));
    const std::string shape = std::to_string(n) + " x " + std::to_string(in) + " x " + std::to_string(out);
    const Range all{0, w->panels()};
    add("matmul", shape + " relu", flops, "flop",
        [=](const Kernels& k) {
          k.matmul({x->data(), ld(in), w->data.data(), bias->data(), y->data(), nullptr, ld(out), in, out,
                    ActivationKind::relu, {0, n}, all});
        },
        {floats_of(y, sum_tolerance(in))});
    add("matmul_weights", shape, flops, "flop",
        [=](const Kernels& k) {
          k.matmul_weights({x->data(), ld(in), dy->data(), ld(out), dw->data.data(), n, in, out, {0, in}, all});
        },
        {floats_of(&dw->data, sum_tolerance(n))});
    wide_weights(shape, n, in, out, x, dy);
    const Range inputs{0, Panels(1, in).panels()};
    add("matmul_input", shape, flops, "flop",
        [=](const Kernels& k) {
          k.matmul_input({dy->data(), ld(out), w->data.data(), dx->data(), ld(in), n, in, out, {0, n}, inputs});
        },
        {floats_of(dx, sum_tolerance(out))});
  }

  // dW in the order of wide layers, copies included.
  void wide_weights(const std::string& shape, std::size_t n, std::size_t in, std::size_t out, const Floats* x,
                    const Floats* dy) {
    auto dw = std::make_shared<Panels>(in, out);
    keep(dw);
    Floats *const x_copy = floats(n * 4 * kStrip), *const dy_copy = floats(n * dw->panels() * kPanel);
    add("matmul_weights", shape + " from copies", 2.0 * static_cast<double>(n * in * out), "flop",
        [=](const Kernels& k) {
          k.matmul_weights({x->data(), ld(in), dy->data(), ld(out), dw->data.data(), n, in, out, {0, in},
                            {0, dw->panels()}, x_copy->data(), dy_copy->data(), 4 * kStrip});
        },
        {floats_of(&dw->data, sum_tolerance(n))});
  }

  void activation(ActivationKind kind, std::size_t n) {
    const Floats* z = floats(n, -4.0f, 4.0f);
    Floats* y = floats(n);
    add("activation_forward", name(kind), static_cast<double>(n), "element",
        [=](const Kernels& k) { k.activation_forward(kind, z->data(), y->data(), n); }, {floats_of(y, 16 * kHalfUlp)});
  }

  void activation_gradient(ActivationKind kind, std::size_t rows, std::size_t cols) {
    const Floats *saved = floats(rows * cols), *dy = floats(rows * cols);
    Floats *dz = floats(rows * cols), *db = floats(cols);
    add("activation_backward", name(kind), static_cast<double>(rows * cols), "element",
        [=](const Kernels& k) {
          k.activation_backward({kind, saved->data(), dy->data(), dz->data(), db->data(), rows, cols, {0, cols}});
        },
        {floats_of(dz, 16 * kHalfUlp), floats_of(db, 16 * sum_tolerance(rows))});
  }

  void separate(const ActivationSpec& spec, std::size_t n) {
    const Floats *x = floats(n, -4.0f, 4.0f), *dy = floats(n);
    Floats *y = floats(n), *dz = floats(n);
    const auto work = static_cast<double>(n);
    add("separate_forward", name(spec.kind), work, "element",
        [=](const Kernels& k) { k.separate_forward(spec, x->data(), y->data(), n); }, {floats_of(y, 256 * kHalfUlp)});
    add("separate_backward", name(spec.kind), work, "element",
        [=](const Kernels& k) { k.separate_backward(spec, x->data(), dy->data(), dz->data(), n); },
        {floats_of(dz, 512 * kHalfUlp)});
  }

  void row_norm(std::size_t rows, std::size_t cols, RowStatistic statistic) {
    const Floats *x = floats(rows * cols, -1.0f, 2.0f), *dy = floats(rows * cols), *gamma = floats(cols),
                 *beta = floats(cols);
    Floats *y = floats(rows * cols), *dx = floats(rows * cols), *mean = floats(rows), *inv = floats(rows, 0.5f, 1.0f);
    Floats *fixed_mean = floats(rows), *fixed_inv = floats(rows, 0.5f, 1.0f), *dgamma = floats(cols),
           *dbeta = floats(cols);
    const auto work = static_cast<double>(rows * cols);
    const std::string shape = std::to_string(rows) + " x " + std::to_string(cols) + ", statistic " +
                              std::to_string(static_cast<int>(statistic));
    const RowNormBackward back{
        statistic,         x->data(),      dy->data(),    dx->data(), gamma->data(), fixed_mean->data(),
        fixed_inv->data(), dgamma->data(), dbeta->data(), cols,       cols,          {0, rows}};
    add("row_norm_forward", shape, work, "element",
        [=](const Kernels& k) {
          k.row_norm_forward({statistic,
                              1e-3f,
                              x->data(),
                              y->data(),
                              gamma->data(),
                              beta->data(),
                              mean->data(),
                              inv->data(),
                              cols,
                              cols,
                              {0, rows}});
        },
        {floats_of(y, 16 * sum_tolerance(cols)), floats_of(inv, 16 * sum_tolerance(cols))});
    add("row_norm_backward", shape, work, "element", [=](const Kernels& k) { k.row_norm_backward(back); },
        {floats_of(dx, 64 * sum_tolerance(cols))});
    add("row_norm_parameters", shape, work, "element",
        [=](const Kernels& k) { k.row_norm_parameters(back, {0, cols}); },
        {floats_of(dgamma, 64 * sum_tolerance(rows)), floats_of(dbeta, 16 * sum_tolerance(rows))});
  }

  void feature_scale(std::size_t rows, std::size_t cols, bool rectified) {
    const Floats *x = floats(rows * cols), *dy = floats(rows * cols), *scale = floats(cols);
    Floats *y = floats(rows * cols), *dx = floats(rows * cols), *dscale = floats(cols);
    const auto work = static_cast<double>(rows * cols);
    const std::string shape = std::to_string(rows) + " x " + std::to_string(cols) + (rectified ? ", rectified" : "");
    add("feature_scale", shape, work, "element",
        [=](const Kernels& k) {
          k.feature_scale({x->data(), scale->data(), y->data(), rectified, rows, cols, cols, {0, cols}});
        },
        {floats_of(y, -1)});
    add("feature_scale_backward", shape, work, "element",
        [=](const Kernels& k) {
          k.feature_scale_backward({x->data(),
                                    scale->data(),
                                    dy->data(),
                                    dx->data(),
                                    dscale->data(),
                                    rectified,
                                    rows,
                                    cols,
                                    cols,
                                    {0, cols}});
        },
        {floats_of(dx, -1), floats_of(dscale, 16 * sum_tolerance(rows))});
  }

  // Six columns of numbers with 128 bins and eight of ten levels, as of a real table.
  void table(std::size_t rows, std::size_t cols) {
    constexpr std::size_t kNumeric = 6, kColumns = 14, kBins = 128, kLevels = 10;
    auto* columns = kept<CodedColumn>(kColumns);
    auto* places = kept<CodePlace>(kColumns * rows);
    std::size_t first = 0;
    for (std::size_t c = 0; c < kColumns; ++c) {
      const bool numeric = c < kNumeric;
      const std::size_t width = numeric ? kBins + 1 : kLevels;
      columns[c] = {first, first + width, first, first + 1, numeric ? kBins : 0, numeric, true};
      for (std::size_t r = 0; r < rows; ++r) {
        const auto bin = static_cast<std::uint32_t>(generator()() % (width - 1));
        places[c * rows + r] = {uniform(-1.0f, 1.0f), numeric ? uniform(0.0f, 1.0f) : 1.0f, numeric ? bin : 0,
                                static_cast<std::uint32_t>(first) + bin + numeric};
      }
      first += width;
    }
    auto w = std::make_shared<Panels>(first, cols);
    auto dw = std::make_shared<Panels>(first, cols);
    auto by_pick = std::make_shared<SortedRows>(columns, kColumns, places, rows, first);
    keep(w); keep(dw); keep(by_pick);
    const Floats *bias = floats(cols), *dy = floats(rows * ld(cols));
    Floats *y = floats(rows * ld(cols)), *scratch = floats(kCodedScratch);
    const std::string shape = std::to_string(rows) + " x " + std::to_string(cols);
    const double work = static_cast<double>(rows * kColumns * cols);
    const std::size_t n = first;
    auto* edges = kept<double>(kBins + 1);
    auto* found = kept<CodePlace>(rows);
    for (std::size_t t = 0; t <= kBins; ++t) edges[t] = -1.0 + static_cast<double>(t) / 64.0;
    const Floats* x = floats(rows);
    add("coded_numbers", std::to_string(rows), static_cast<double>(rows), "element",
        [=](const Kernels& k) { k.coded_numbers({x->data(), 1, rows, 0.1, 1.5, edges, kBins, 1, places[0], found}); },
        {{found, rows * sizeof(CodePlace), -1}});
    add("coded_forward", shape, work, "element",
        [=](const Kernels& k) {
          k.coded_forward({columns, kColumns, places, rows, w->data.data(), nullptr, bias->data(), y->data(),
                           scratch->data(), n, ld(cols), cols, false, {0, rows}, {0, w->panels()}});
        },
        {floats_of(y, sum_tolerance(kNumeric * kBins))});
    add("coded_gradient", shape, work, "element",
        [=](const Kernels& k) {
          k.coded_gradient({columns, places, by_pick->rows.data(), by_pick->starts.data(), rows, dy->data(),
                            dw->data.data(), rows, ld(cols), n, cols, {0, kColumns}, {0, w->panels()}});
        },
        {floats_of(&dw->data, sum_tolerance(rows))});
  }

  // Embeddings of eight numbers as RealMLP has them.
  void periodic(std::size_t rows, std::size_t in, std::size_t count, std::size_t outputs) {
    auto make = [&](std::size_t r, std::size_t c) {
      auto made = std::make_shared<Panels>(r, c);
      keep(made);
      return made;
    };
    const auto frequencies = make(count, in), phases = make(count, in), w = make(count, in * outputs);
    const auto dfrequencies = make(count, in), dphases = make(count, in), dw = make(count, in * outputs);
    const std::size_t ldx = ld(in), ldy = ld(in * (outputs + 1));
    const Floats *x = floats(rows * ldx), *bias = floats(in * outputs), *dy = floats(rows * ldy);
    Floats *y = floats(rows * ldy), *dx = floats(rows * ldx), *dbias = floats(in * outputs);
    const Periodic of{x->data(),      ldx, frequencies->data.data(), phases->data.data(), w->data.data(),
                      bias->data(), in,  count,                    outputs,             false,
                      true};
    const std::string shape =
        std::to_string(rows) + " x " + std::to_string(in) + ", " + std::to_string(count) + " waves";
    const double work = static_cast<double>(rows * in * count);
    add("periodic_forward", shape, work, "element",
        [=](const Kernels& k) { k.periodic_forward({of, y->data(), ldy, {0, rows}}); },
        {floats_of(y, 16 * sum_tolerance(count))});
    add("periodic_backward", shape, work, "element",
        [=](const Kernels& k) {
          k.periodic_backward({of, y->data(), dy->data(), ldy, dx->data(), ldx, dfrequencies->data.data(),
                               dphases->data.data(), dw->data.data(), dbias->data(), rows, {0, in}});
        },
        {floats_of(dx, 64 * sum_tolerance(count * outputs)), floats_of(&dfrequencies->data, 64 * sum_tolerance(rows)),
         floats_of(&dphases->data, 16 * sum_tolerance(rows)), floats_of(&dw->data, 16 * sum_tolerance(rows)),
         floats_of(dbias, 16 * sum_tolerance(rows))});
  }

  void softmax(std::size_t rows, std::size_t cols, ActivationKind kind) {
    const Floats *z = floats(rows * ld(cols)), *dy = floats(rows * ld(cols));
    Floats *saved = floats(rows * ld(cols)), *y = floats(rows * ld(cols)), *dz = floats(rows * ld(cols));
    const auto work = static_cast<double>(rows * cols);
    const std::string shape = std::string(name(kind)) + ", " + std::to_string(rows) + " x " + std::to_string(cols);
    add("softmax_forward", shape, work, "element",
        [=](const Kernels& k) {
          k.softmax_forward({cols, ld(cols), z->data(), y->data(), nullptr, nullptr, {0, rows}, kind});
        },
        {floats_of(y, 16 * kHalfUlp)});
    add("softmax_backward", shape, work, "element",
        [=](const Kernels& k) {
          k.softmax_backward({cols, ld(cols), nullptr, saved->data(), dy->data(), dz->data(), {0, rows}, kind});
        },
        {floats_of(dz, 8 * sum_tolerance(cols))});
  }

  void batch_norm(std::size_t rows, std::size_t cols) {
    const Floats *x = floats(rows * cols), *dy = floats(rows * cols), *gamma = floats(cols), *beta = floats(cols);
    Floats *y = floats(rows * cols), *dx = floats(rows * cols), *inferred = floats(rows * cols);
    Floats *mean = floats(cols), *inv_std = floats(cols), *db = floats(cols), *dgamma = floats(cols);
    Floats *dbeta = floats(cols), *moving_mean = floats(cols), *moving_variance = floats(cols, 0.5f, 1.0f);
    Floats *fixed_mean = floats(cols), *fixed_inv_std = floats(cols, 1.0f, 2.0f);
    const DropoutMask mask = dropout_mask(rows * cols), none{nullptr, 0.0f};
    const auto work = static_cast<double>(rows * cols);
    const std::string shape = std::to_string(rows) + " x " + std::to_string(cols);
    const double tolerance = 16 * sum_tolerance(rows);
    const Range all{0, cols};
    add("batch_norm_forward_infer", shape, work, "element",
        [=](const Kernels& k) {
          k.batch_norm_forward_infer({x->data(), inferred->data(), gamma->data(), beta->data(), moving_mean->data(),
                                      moving_variance->data(), nullptr, nullptr, 0.99f, 1e-3f, none, rows, cols, all});
        },
        {floats_of(inferred, tolerance)});
    add("batch_norm_forward_train", shape, work, "element",
        [=](const Kernels& k) {
          k.batch_norm_forward_train({x->data(), y->data(), gamma->data(), beta->data(), moving_mean->data(),
                                      moving_variance->data(), mean->data(), inv_std->data(), 0.99f, 1e-3f, mask, rows,
                                      cols, all});
        },
        {floats_of(y, tolerance), floats_of(mean, tolerance), floats_of(moving_variance, tolerance)});
    add("batch_norm_backward", shape, work, "element",
        [=](const Kernels& k) {
          k.batch_norm_backward({x->data(), dy->data(), nullptr, dx->data(), gamma->data(), fixed_mean->data(),
                                 fixed_inv_std->data(), dgamma->data(), dbeta->data(), mask, ActivationKind::relu,
                                 db->data(), rows, cols, all});
        },
        {floats_of(dx, tolerance), floats_of(dgamma, 4 * tolerance), floats_of(db, 16 * tolerance)});
  }

  DropoutMask dropout_mask(std::size_t n) {
    auto* mask = kept<std::uint16_t>(n / 16);
    for (std::size_t i = 0; i < n / 16; ++i) mask[i] = static_cast<std::uint16_t>(generator()());
    return {mask, 1.25f};
  }

  void dropout(std::size_t n) {
    const DropoutMask mask = dropout_mask(n);
    const Floats* x = floats(n);
    Floats* y = floats(n);
    auto* bits = kept<std::uint16_t>(n / 16);
    const auto work = static_cast<double>(n);
    add("dropout_apply", std::to_string(n), work, "element",
        [=](const Kernels& k) { k.dropout_apply(mask, x->data(), y->data(), {0, n}); }, {floats_of(y, -1)});
    Floats* shifted = floats(n);
    add("dropout_affine", std::to_string(n), work, "element",
        [=](const Kernels& k) { k.dropout_affine(mask, 0.5f, -2.0f, x->data(), shifted->data(), {0, n}); },
        {floats_of(shifted, 4 * kHalfUlp)});
    add("dropout_bits", std::to_string(n), work, "element",
        [=](const Kernels& k) { k.dropout_bits({{1, 2, 3}, 32768, bits, {0, n / 128}}); }, {{bits, n / 8, -1}});
  }

  template <class Loss>
  void loss(std::size_t rows, std::size_t cols) {
    constexpr bool kLabels = Loss::kTargets == Targets::labels;
    const bool from_logits = false;   // then y is only read, so that the call can be repeated
    static const Loss description{};
    auto* labels = kept<std::int32_t>(rows);
    for (std::size_t i = 0; i < rows; ++i) labels[i] = static_cast<std::int32_t>(i % cols);
    const Floats* target = floats(rows * ld(cols), 0.0f, 1.0f);
    Floats *y = floats(rows * ld(cols), 0.1f, 0.9f), *losses = floats(rows), *dy = floats(rows * ld(cols));
    add("loss", std::string(Loss::kName) + ", " + std::to_string(rows) + " x " + std::to_string(cols),
        static_cast<double>(rows * cols), "element",
        [=](const Kernels& k) {
          k.loss({index_of<Loss>(Losses()), &description, from_logits, y->data(), kLabels ? nullptr : target->data(),
                  kLabels ? labels : nullptr, nullptr, 0.01f, losses->data(), dy->data(), cols, ld(cols), {0, rows}});
        },
        {floats_of(losses, 4 * sum_tolerance(cols)), floats_of(dy, 64 * kHalfUlp)});
  }

  void largest(std::size_t rows, std::size_t cols) {
    const Floats* y = floats(rows * ld(cols));
    auto* index = kept<std::int32_t>(rows);
    add("largest", std::to_string(rows) + " x " + std::to_string(cols), static_cast<double>(rows * cols), "element",
        [=](const Kernels& k) { k.largest({y->data(), cols, ld(cols), index, {0, rows}}); }, {{index, 4 * rows, -1}});
  }

  template <class Description, class Rule>
  void update(const Description& description, Type<Rule>, std::size_t n, bool any_option) {
    constexpr std::size_t kMoments = math::kArrays<Rule>;
    Floats *w = floats(n), *g = floats(n);
    std::vector<Written> written = {floats_of(w, 16 * kHalfUlp)};
    Update u{};
    for (std::size_t i = 0; i < kMoments; ++i) {
      // What follows a mean of squares is like it, and it is larger than the square of a mean.
      const bool beyond_means = !Rule::kSpecialised && Rule::kSquare == i;
      Floats* moment = floats(n, beyond_means ? 1.5f : Rule::kSquare <= i ? 0.0f : -1.0f, beyond_means ? 2.0f : 1.0f);
      u.moment[i] = moment->data();
      written.push_back(floats_of(moment, 8 * kHalfUlp));
    }
    auto kept_description = std::make_shared<Description>(description);
    keep(kept_description);
    u.optimizer = index_of<Description>(Optimizers());
    u.description = kept_description.get();
    u.n = n;
    u.w = w->data();
    u.g = g->data();
    u.rate = 1e-3f;
    u.correction[0] = 0.1f;
    u.correction[1] = 0.001f;
    u.correction[2] = 0.5f;
    u.correction[3] = 0.9f;
    u.l1 = u.l2 = 1e-4f;
    u.grad_scale = 1.0f;
    if (any_option) {
      Floats* average = floats(n);
      u.average = average->data();
      u.momentum = 0.99f;
      u.limit = 0.5f;
      written.push_back(floats_of(average, 16 * kHalfUlp));
    }
    const std::string options = any_option ? ", l1, l2, average, limit, " : ", l1, l2, ";
    const std::size_t bytes = 12 + 8 * kMoments + (any_option ? 8 : 0);
    add("update", text_of(description) + options + std::to_string(n), static_cast<double>(n * bytes), "byte",
        [=](const Kernels& k) { k.update(u); }, std::move(written));
  }

  void gather(std::size_t rows, std::size_t cols) {
    const std::size_t from = 10 * rows;
    const Floats* x = floats(from * cols);
    Floats* out = floats(rows * ld(cols));
    auto* index = kept<std::uint32_t>(rows);
    for (std::size_t i = 0; i < rows; ++i) index[i] = static_cast<std::uint32_t>(generator()() % from);
    add("gather_rows", std::to_string(rows) + " of " + std::to_string(cols), 8.0 * static_cast<double>(rows * cols),
        "byte",
        [=](const Kernels& k) {
          k.gather_rows({x->data(), ElementType::float32, cols, index, 0, out->data(), cols, ld(cols), {0, rows}});
        },
        {floats_of(out, -1)});
  }

  void scans(std::size_t n) {
    const Floats* x = floats(n);
    Floats *sums = floats(2), *verdict = floats(1);
    const double bytes = 4.0 * static_cast<double>(n);
    add("penalty_sums", std::to_string(n), bytes, "byte",
        [=](const Kernels& k) {
          double found[2];
          k.penalty_sums(x->data(), n, found);
          for (std::size_t i = 0; i < 2; ++i) (*sums)[i] = static_cast<float>(found[i]);
        },
        {floats_of(sums, sum_tolerance(n) / 16)});
    const Floats* g = floats(n);
    Floats* mean = floats(n);
    add("weighted_sum", std::to_string(n), 3 * bytes, "byte",
        [=](const Kernels& k) { k.weighted_sum(0.75f, x->data(), 0.25f, g->data(), mean->data(), n); },
        {floats_of(mean, 4 * kHalfUlp)});
    for (const float l : {0.0f, 0.1f}) {
      Floats *square = floats(1), *sum = floats(n);
      const WholeGradient whole{x->data(), g->data(), n, l, l};
      const std::string shape = std::to_string(n) + (l == 0.0f ? "" : ", l1, l2");
      const double read = l == 0.0f ? bytes : 2 * bytes;
      add("gradient_square", shape, read, "byte",
          [=](const Kernels& k) { (*square)[0] = static_cast<float>(k.gradient_square(whole)); },
          {floats_of(square, sum_tolerance(n) / 16)});
      add("whole_gradient", shape, read + bytes, "byte",
          [=](const Kernels& k) { k.whole_gradient(whole, sum->data()); }, {floats_of(sum, 4 * kHalfUlp)});
    }
    add("all_finite", std::to_string(n), bytes, "byte",
        [=](const Kernels& k) { (*verdict)[0] = k.all_finite(x->data(), ElementType::float32, n) ? 1.0f : 0.0f; },
        {floats_of(verdict, -1)});
  }

  void random_words(std::size_t blocks) {
    auto* words = kept<std::uint32_t>(4 * blocks);
    add("random_words", std::to_string(blocks) + " blocks", 16.0 * static_cast<double>(blocks), "byte",
        [=](const Kernels& k) { k.random_words({1, 2, 3}, 5, blocks, words); }, {{words, 16 * blocks, -1}});
  }

  void normals(std::size_t groups) {
    Floats* out = floats(64 * groups);
    add("random_normals", std::to_string(groups) + " groups", 64.0 * static_cast<double>(groups), "element",
        [=](const Kernels& k) { k.random_normals({{1, 2, 3}, 0.0f, 1.0f, out->data(), {0, groups}}); },
        {floats_of(out, 4e-6)});
  }

  void combine(std::size_t n) {
    const Floats *a = floats(n), *b = floats(n);
    for (const Combination combination : {Combination::add, Combination::multiply}) {
      Floats* const y = floats(n);
      add("combine", std::to_string(n) + (combination == Combination::add ? " add" : " multiply"),
          12.0 * static_cast<double>(n), "byte",
          [=](const Kernels& k) { k.combine(combination, a->data(), b->data(), y->data(), n); }, {floats_of(y, -1)});
    }
  }

  // A frozen network of one hidden layer.
  void inference(std::size_t n, std::size_t in, std::size_t hidden, std::size_t out) {
    auto first = std::make_shared<Panels>(in, hidden), second = std::make_shared<Panels>(hidden, out);
    keep(first); keep(second);
    // A bias that is padded with zeros.
    const Floats *bias_1 = floats(hidden), *bias_2 = floats(out), *x = floats(n * in);
    Floats *y = floats(n * out), *scratch_1 = floats(n * ld(hidden)), *scratch_2 = floats(n * ld(hidden));
    auto steps = std::make_shared<std::vector<InferenceStep>>();
    steps->push_back({first->data.data(), bias_1->data(), nullptr, nullptr, in, hidden, ActivationKind::relu});
    steps->push_back({second->data.data(), bias_2->data(), nullptr, nullptr, hidden, out, ActivationKind::sigmoid});
    keep(steps);
    const std::string shape = std::to_string(n) + " x " + std::to_string(in) + "-" + std::to_string(hidden) + "-";
    add("infer", shape + std::to_string(out), 2.0 * static_cast<double>(n * hidden * (in + out)), "flop",
        [=](const Kernels& k) {
          k.infer({steps->data(), 2, x->data(), in, y->data(), out, n, {scratch_1->data(), scratch_2->data()}, false});
        },
        {floats_of(y, sum_tolerance(in) * static_cast<double>(hidden) / 4)});
  }
};

}  // namespace fastreg::test
