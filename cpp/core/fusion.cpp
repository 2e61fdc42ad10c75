// Finds the patterns, from the first node to the last. Each node that belongs to no earlier group begins a new group.
#include "core/fusion.h"

#include "core/activations.h"
#include "core/layer.h"

namespace fastreg {
namespace {

class Fusion {
 public:
  Fusion(const NetworkSpec& spec, const Wiring& wiring)
      : spec_(spec),
        wiring_(wiring),
        readers_(wiring.widths.size(), 0),
        reader_(wiring.widths.size(), kNone),
        uses_(spec.layers.size(), 0),
        is_output_(wiring.widths.size(), false),
        taken_(wiring.nodes.size(), false),
        number_(wiring.widths.size(), kNone) {
    for (std::size_t i = 0; i < wiring.nodes.size(); ++i)
      for (const std::size_t value : wiring.nodes[i].inputs) {
        ++readers_[value];
        reader_[value] = i;
      }
    for (const std::size_t value : wiring.outputs) is_output_[value] = true;
    for (std::size_t i = 0; i < wiring.n_inputs; ++i) number_[i] = i;
  }

  Fused run() {
    for (std::size_t i = 0; i < wiring_.nodes.size(); ++i) {
      if (taken_[i]) continue;
      value_ = wiring_.n_inputs + i;
      Group group;
      group.layer = wiring_.nodes[i].layer;
      group.stream = uses_[group.layer] == 0 ? group.layer : spec_.layers.size() + i;
      ++uses_[group.layer];
      for (const std::size_t value : wiring_.nodes[i].inputs) group.inputs.push_back(number_[value]);
      std::visit([&](const auto& layer) { add(layer, std::move(group)); }, spec_.layers[group.layer]);
    }
    for (const std::size_t value : wiring_.outputs) out_.outputs.push_back(number_[value]);
    return std::move(out_);
  }

 private:
  void add(const Dense& dense, Group group) {
    ActivationSpec activation = dense.activation;
    const bool penalised = dense.activity_regularizer != Penalty{};   // then nothing after it joins it
    if (activation.kind == ActivationKind::linear && !penalised)
      if (const std::optional<ActivationSpec> following = next_activation()) {
        activation = *following;
        take();
      }
    // The sigmoid of an output is an operation of its own, so that a loss can start from logits.
    const bool apart = !is_fused(activation.kind) || (is_head(activation.kind) && is_output_[value_]);
    group.activation = apart ? ActivationSpec{} : activation;
    const auto* norm = penalised ? nullptr : next<BatchNormalization>();
    group.leaves_tail = !apart && norm != nullptr && norm->trainable && derivative_from_output(group.activation.kind) &&
                        !wiring_.is_shared(group.layer) && !wiring_.is_shared(next_layer());
    if (group.activation.kind == ActivationKind::relu && dense.units > 1 && !penalised) take_dropout(group);
    push(std::move(group));
    if (apart) push_activation(activation);
    if (penalised) push_penalty(dense.activity_regularizer);
  }

  void add(const TableInput& layer, Group group) {
    push(std::move(group));
    if (layer.activation.kind != ActivationKind::linear) push_activation(layer.activation);
    if (layer.activity_regularizer != Penalty{}) push_penalty(layer.activity_regularizer);
  }

  void push_activation(const ActivationSpec& activation) {
    Group head = behind_last();
    head.activation = activation;
    head.activation_alone = true;
    push(std::move(head));
  }
  void push_penalty(const Penalty& penalty) {
    Group group = behind_last();
    group.activity = &penalty;
    push(std::move(group));
  }

  // A group of the same layer as the last one, which reads its output.
  Group behind_last() const {
    Group group;
    group.layer = out_.groups.back().layer;
    group.inputs = {number_[value_]};
    return group;
  }

  template <class AnyLayer>
    requires IsActivation<AnyLayer>
  void add(const AnyLayer& layer, Group group) {
    group.activation = layer.spec();
    group.activation_alone = true;
    push(std::move(group));
  }

  void add(const BatchNormalization& layer, Group group) {
    const std::size_t source = group.inputs[0];
    if (source >= wiring_.n_inputs && out_.groups[source - wiring_.n_inputs].leaves_tail)
      group.tail = source - wiring_.n_inputs;
    if (layer.trainable) take_dropout(group);
    push(std::move(group));
  }

  template <class AnyLayer>
  void add(const AnyLayer&, Group group) {
    push(std::move(group));
  }

  // The activation of the next layer, if it is nothing but one and the only reader of the current value.
  std::optional<ActivationSpec> next_activation() const {
    if (readers_[value_] != 1 || is_output_[value_]) return std::nullopt;
    return std::visit([](const auto& any) { return spec_of(any); },
                      spec_.layers[wiring_.nodes[reader_[value_]].layer]);
  }
  template <class AnyLayer>
  static std::optional<ActivationSpec> spec_of(const AnyLayer& layer) {
    if constexpr (IsActivation<AnyLayer>) return layer.spec();
    return std::nullopt;
  }
  // The layer that is the only reader of the current value, if it is of this type.
  template <class Wanted>
  const Wanted* next() const {
    if (readers_[value_] != 1 || is_output_[value_]) return nullptr;
    return std::get_if<Wanted>(&spec_.layers[next_layer()]);
  }
  std::size_t next_layer() const { return wiring_.nodes[reader_[value_]].layer; }
  // Adds the node of that layer to the current group.
  void take() {
    const std::size_t node = reader_[value_];
    taken_[node] = true;
    value_ = wiring_.n_inputs + node;
  }
  void take_dropout(Group& group) {
    if (next<Dropout>() == nullptr || wiring_.is_shared(next_layer())) return;
    if (std::find(spec_.scheduled.begin(), spec_.scheduled.end(), next_layer()) != spec_.scheduled.end()) return;
    group.dropout = next_layer();
    take();
  }
  void push(Group group) {
    group.node_value = value_;
    number_[value_] = wiring_.n_inputs + out_.groups.size();
    out_.groups.push_back(std::move(group));
  }

  const NetworkSpec& spec_;
  const Wiring& wiring_;
  std::vector<std::size_t> readers_, reader_;   // for each value: the number of its readers, and the last of them
  std::vector<std::size_t> uses_;               // how often each layer has been used so far
  std::vector<bool> is_output_, taken_;         // taken_: nodes
  std::vector<std::size_t> number_;             // the number of each value among those of the groups
  std::size_t value_ = 0;                       // the value that the current group computes at this point
  Fused out_;
};

}  // namespace

Fused fuse(const NetworkSpec& spec, const Wiring& wiring) { return Fusion(spec, wiring).run(); }

}  // namespace fastreg
