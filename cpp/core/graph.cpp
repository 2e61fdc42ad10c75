// From fused layers to operations.
#include "core/graph.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include "core/layers/layers.h"
#include "fastreg/runtime.h"

namespace fastreg {
namespace {

// Makes the operation of each group.
class Compiler {
 public:
  Compiler(const NetworkSpec& spec, const Wiring& wiring, const Parameters& parameters, std::size_t l2_cache)
      : spec_(spec), parameters_(parameters), l2_cache_(l2_cache), widths_(wiring.widths) {
    widths_.resize(wiring.n_inputs);
  }

  std::vector<std::unique_ptr<Operation>> run(const std::vector<Group>& groups) {
    tails_.resize(groups.size());
    for (std::size_t i = 0; i < groups.size(); ++i) {
      Widths inputs;
      for (const std::size_t value : groups[i].inputs) inputs.push_back(widths_[value]);
      operations_.push_back(make(groups[i], i, inputs));
      widths_.push_back(operations_.back()->out());
    }
    return std::move(operations_);
  }

 private:
  std::unique_ptr<Operation> make(const Group& group, std::size_t index, const Widths& inputs) {
    const OperationContext context{inputs,
                                   group.layer,
                                   group.stream,
                                   parameters_,
                                   group.activation.kind,
                                   scheduled(group.layer),
                                   dropout_of(group),
                                   group.dropout,
                                   group.leaves_tail ? &tails_[index] : nullptr,
                                   group.tail != kNone ? &tails_[group.tail] : nullptr,
                                   l2_cache_};
    if (group.activity != nullptr)
      return make_operation(ActivityRegularization{group.activity->l1, group.activity->l2}, context);
    if (group.activation_alone) return make_operation(Activation{group.activation}, context);
    return std::visit([&](const auto& layer) { return make_operation(layer, context); }, spec_.layers[group.layer]);
  }

  std::size_t scheduled(std::size_t layer) const {
    const auto found = std::find(spec_.scheduled.begin(), spec_.scheduled.end(), layer);
    return found == spec_.scheduled.end() ? kNotScheduled : static_cast<std::size_t>(found - spec_.scheduled.begin());
  }
  const Dropout* dropout_of(const Group& group) const {
    return group.dropout != kNone ? &std::get<Dropout>(spec_.layers[group.dropout]) : nullptr;
  }

  const NetworkSpec& spec_;
  const Parameters& parameters_;
  std::size_t l2_cache_;
  Widths widths_;   // of the values so far
  std::vector<std::unique_ptr<Operation>> operations_;
  std::vector<DenseTail> tails_;   // of the groups that leave one
};

void check_inputs(const Layer& layer, const std::vector<std::size_t>& inputs) {
  for (const std::size_t width : inputs) check_width("layer", "the width of an input", width);
  check_layer(layer, "layer", inputs);
}

Parameters parameters_of(const NetworkSpec& spec, const Wiring& wiring) {
  std::vector<const Node*> node_of(spec.layers.size());
  for (const Node& node : wiring.nodes)
    if (node_of[node.layer] == nullptr) node_of[node.layer] = &node;
  Parameters out;
  for (std::size_t i = 0; i < spec.layers.size(); ++i)
    out.add_layer(layer_weights(spec.layers[i], wiring.widths_of(node_of[i]->inputs)));
  out.layout();
  return out;
}

std::vector<GraphOutput> outputs_of(const Fused& fused, std::size_t n_inputs) {
  std::vector<std::size_t> readers(n_inputs + fused.groups.size(), 0);   // outputs among them
  for (const Group& group : fused.groups)
    for (const std::size_t value : group.inputs) ++readers[value];
  for (const std::size_t value : fused.outputs) ++readers[value];
  std::vector<GraphOutput> out;
  for (const std::size_t value : fused.outputs) {
    const Group& last = fused.groups[value - n_inputs];
    if (last.activation_alone && is_head(last.activation.kind) && readers[value] == 1 && readers[last.inputs[0]] == 1)
      out.push_back({value, last.inputs[0], last.activation.kind});
    else
      out.push_back({value, value});
  }
  return out;
}

}  // namespace

void require_memory(const char* what, double floats) {
  // Read from files once, which is too slow for every fit. Not a static with a guard: a child forked while another
  // thread reads it would wait for ever.
  static std::atomic<double> known{0.0};
  double limit = known.load(std::memory_order_relaxed);
  if (limit == 0.0) known.store(limit = static_cast<double>(memory_limit()), std::memory_order_relaxed);
  const double bytes = 4.0 * floats;
  if (bytes > limit)
    throw std::invalid_argument(std::string(what) + " takes " + std::to_string(static_cast<std::size_t>(bytes / 1e6)) +
                                " MB, more than the " + std::to_string(static_cast<std::size_t>(limit / 1e6)) +
                                " MB of memory");
}

std::vector<WeightInfo> weights_of(const NetworkSpec& spec) { return parameters_of(spec, wire(spec)).infos(); }
std::vector<std::size_t> widths_of(const NetworkSpec& spec) { return wire(spec).widths; }

std::vector<WeightInfo> weights_of(const Layer& layer, const std::vector<std::size_t>& inputs) {
  check_inputs(layer, inputs);
  Parameters out;
  out.add_layer(layer_weights(layer, inputs));
  out.layout();
  return out.infos();
}

std::size_t width_of(const Layer& layer, const std::vector<std::size_t>& inputs) {
  check_inputs(layer, inputs);
  return output_width(layer, inputs);
}

Graph::Graph(const NetworkSpec& network, const Backend& on)
    : spec(network), backend(on), wiring(wire(spec)), parameters(parameters_of(spec, wiring)) {
  Fused fused = fuse(spec, wiring);
  operations = Compiler(spec, wiring, parameters, backend.l2_cache).run(fused.groups);
  outputs = outputs_of(fused, n_inputs());
  for (Group& group : fused.groups) {
    inputs.push_back(std::move(group.inputs));
    layers.push_back(group.layer);
  }
  n_outputs = width(outputs[0].value);
  inference = plan_inference(*this, fused.outputs);
  require_memory("layers: this network", static_cast<double>(parameters.total()));
  weights = Buffer(backend, parameters.total());
  initialize(*this);
}

bool Graph::takes_batch_statistics() const {
  return std::any_of(operations.begin(), operations.end(),
                     [](const auto& operation) { return operation->takes_batch_statistics(); });
}

std::vector<std::size_t> Graph::penalised_values() const {
  std::vector<std::size_t> values;
  for (std::size_t i = 0; i < operations.size(); ++i)
    if (operations[i]->activity_penalty() != nullptr) values.push_back(n_inputs() + i);
  return values;
}

double Graph::flops_per_row() const {
  double flops = 0.0;
  for (const auto& operation : operations) flops += operation->flops_per_row();
  return flops;
}

std::size_t Graph::inference_threads(std::size_t rows) const {
  const std::size_t blocks = (rows + kBlockRows - 1) / kBlockRows;
  const double work = flops_per_row() / 3.0 * static_cast<double>(rows) / kFlopsPerThread;
  const std::size_t budget = static_cast<std::size_t>(num_threads());
  return std::max<std::size_t>(1, std::min({blocks, budget, static_cast<std::size_t>(std::min(work, 1e6))}));
}

}  // namespace fastreg
