// Fusion: which nodes of a network one operation computes together. There are named patterns over the wiring. A value
// becomes internal to an operation only if it has a single reader:
//   Dense + an activation layer      the activation joins the matrix product
//   BatchNormalization + Dropout     one pass writes both
//   Dense(relu, ...) + Dropout       the mask is applied where the product is stored, and is not needed in backward
//   Dense(relu, ...) + BatchNorm     the activation is differentiated together with the normalisation
// One pattern splits a layer in two: an activation of a Dense that kernels do not fuse (softmax and others), and a
// sigmoid or softmax before an output, is an operation of its own. A last sigmoid or softmax is skipped if the loss is
// computed from logits.
#pragma once
#include <optional>
#include <vector>

#include "core/wiring.h"

namespace fastreg {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// A group of nodes that become one operation. Values of groups have their own numbers: first the inputs of the network,
// then the output of each group.
struct Group {
  std::size_t layer = 0;                                   // the layer that it computes, or the first of several
  std::size_t stream = 0;                                  // of its random numbers
  std::vector<std::size_t> inputs;                         // values
  std::size_t node_value = 0;                              // the wiring's number of its output
  ActivationSpec activation{};                             // the activation of a Dense, or a single one
  bool activation_alone = false;                           // nothing but `activation`
  const Penalty* activity = nullptr;                       // nothing but this penalty of the output of a Dense
  std::size_t dropout = kNone;                             // the index of a Dropout layer that follows
  bool leaves_tail = false;                                // a Dense whose activation the next group differentiates
  std::size_t tail = kNone;                                // the group of that Dense, for the next one
};

struct Fused {
  std::vector<Group> groups;
  std::vector<std::size_t> outputs;   // values
};

Fused fuse(const NetworkSpec& spec, const Wiring& wiring);

constexpr bool is_head(ActivationKind kind) {
  return kind == ActivationKind::sigmoid || kind == ActivationKind::softmax;
}

}  // namespace fastreg
