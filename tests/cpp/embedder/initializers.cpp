// Any members of the library's structs can be initialised by their names, without a warning of -Wextra about others.
#include <fastreg/cells.h>
#include <fastreg/json.h>
#include <fastreg/model_file.h>
#include <fastreg/runtime.h>
#include <fastreg/table_predictor.h>
#include <fastreg/trainer.h>

namespace {

using namespace fastreg;

constexpr float kNumbers[4] = {1, 2, 3, 4};

// Makes one of each struct, naming a member or two.
[[maybe_unused]] void initialise() {
  [[maybe_unused]] const Features features(kNumbers, 2, 2, 2);
  [[maybe_unused]] const MatrixView<const float> matrix{.data = kNumbers, .rows = 2};
  [[maybe_unused]] const Span<const float> span{.data = kNumbers};
  [[maybe_unused]] const Dataset data{.x = features, .y = matrix};
  [[maybe_unused]] const Dataset labelled{.labels = {}};
  [[maybe_unused]] const OutputTargets targets{.sample_weight = span};
  [[maybe_unused]] const LossRows loss_rows{.y = kNumbers, .rows = 1};
  [[maybe_unused]] const MetricRows metric_rows{.y = kNumbers, .rows = 1};
  [[maybe_unused]] const ProgramFunctions functions{.metrics = {}};
  [[maybe_unused]] const EarlyStopping stopping{.patience = 3};
  [[maybe_unused]] const EarlyStoppingResult stopped{.best_epoch = 3};
  [[maybe_unused]] const FitOptions epochs{.epochs = 3};
  [[maybe_unused]] const FitOptions options{.batch_size = 8, .early_stopping = {stopping}};
  [[maybe_unused]] const FitResult result{.reason = StopReason::completed};
  [[maybe_unused]] const Divergence divergence{.epoch = 3};
  [[maybe_unused]] const Progress progress{.epoch = 3};
  [[maybe_unused]] const NetworkInput input{.n_features = 3};
  [[maybe_unused]] const Node node{.inputs = {0}};
  [[maybe_unused]] const NetworkOutput output{.value = 1};
  [[maybe_unused]] const NetworkSpec chain{.n_features = 3, .layers = {Dense{.units = 4}, Dense{}}};
  [[maybe_unused]] const NetworkSpec graph{.inputs = {input}, .nodes = {node}};
  [[maybe_unused]] const OutputTraining output_training{.weight = 2.0f};
  [[maybe_unused]] const TrainingSpec training{.optimizer = Adam{.learning_rate = 0.1f}};
  [[maybe_unused]] const TrainingSpec robust{.loss = losses::Huber{.delta = 2.0f}};
  [[maybe_unused]] const Multipliers multipliers{.learning_rate = {.all = 2.0f}};
  [[maybe_unused]] const Penalty penalty{.l2 = 0.1f};
  [[maybe_unused]] const BatchNormalization normalization{.momentum = 0.9f};
  [[maybe_unused]] const Embedding embedding{.input_dim = 4, .output_dim = 2};
  [[maybe_unused]] const TableInput table_input{.units = 3};
  [[maybe_unused]] const TableColumn column{.count = 2};
  [[maybe_unused]] const TableEncoding encoding{.dense = false};
  [[maybe_unused]] const TableFinish finish{.temperature = 2.0};
  [[maybe_unused]] const CalibrationCurve curve{.x = {0.5}};
  [[maybe_unused]] const WeightInfo weight{.rows = 3};
  [[maybe_unused]] const FrozenLayer frozen_layer{.in = 2, .out = 2};
  [[maybe_unused]] const FrozenNode frozen_node{.inputs = {0}};
  [[maybe_unused]] const FrozenNetwork frozen{.nodes = {frozen_node}};
  [[maybe_unused]] const Json::Member member{.name = "a"};
  [[maybe_unused]] const TensorView view{.data = kNumbers};
  [[maybe_unused]] const TensorInfo info{.size = 4};
  [[maybe_unused]] const NamedTensor tensor{.name = "a"};
  [[maybe_unused]] const ModelFile file{.tensors = {tensor}};
  [[maybe_unused]] const Texts texts{.data = {}};
  [[maybe_unused]] const LineColumn lines{.rows = 2};
  [[maybe_unused]] const BuildInfo build{.compiler = "a"};
}

}  // namespace
