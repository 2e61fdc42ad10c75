"""Names that Keras, PyTorch or scikit-learn have and fastreg has not, and what to use instead.

It is used only where a name was not found: by the ``__getattr__`` of a module, by a lookup by name, and by the search
for a likely typo, which must not propose another thing with a similar name.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from importlib import import_module

_DENSE_ONLY = "networks are stacks of dense layers; a row of n features goes into Dense, so flatten other data first"
_CLASSES = "the losses for classes are the cross-entropies: binary, categorical and sparse_categorical"
_RECTIFIED = "'leaky_relu', 'elu', 'selu', 'gelu', 'silu' and 'mish' are of this kind"
_BOUNDED = "'sigmoid', 'tanh', 'hard_sigmoid', 'hard_tanh' and 'softsign' are bounded"
_ADAPTIVE = "'adamw', 'lion', 'nadam', 'radam' and 'schedulefreeadamw' are newer ones that are there"
_SUBCLASS = "derive from callbacks.Callback, whose on_epoch_end can do it"
_JOINS = "Add, Multiply and Concatenate join values"
_FUNCTIONAL = "fastreg.Model is the functional form, fastreg.Sequential the chain"

# For each kind: {hint: the names that it is given for}.
_SAID: dict[str, dict[str, str]] = {
    "layer": {
        _DENSE_ONLY: "Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose SeparableConv1D "
        "SeparableConv2D SeparableConvolution1D SeparableConvolution2D DepthwiseConv1D DepthwiseConv2D Convolution1D "
        "Convolution2D Convolution3D MaxPooling1D "
        "MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D GlobalMaxPooling1D "
        "GlobalMaxPooling2D GlobalMaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D "
        "MaxPool1D MaxPool2D MaxPool3D AvgPool1D AvgPool2D AvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D "
        "GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D AdaptiveAveragePooling1D AdaptiveAveragePooling2D "
        "AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D LSTM GRU SimpleRNN "
        "RNN LSTMCell GRUCell SimpleRNNCell StackedRNNCells Bidirectional TimeDistributed ConvLSTM1D ConvLSTM2D "
        "ConvLSTM3D ReversibleEmbedding Attention AdditiveAttention MultiHeadAttention "
        "GroupedQueryAttention GroupQueryAttention EinsumDense Masking ZeroPadding1D ZeroPadding2D ZeroPadding3D "
        "Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D RepeatVector Conv1d Conv2d Conv3d "
        "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d TransformerEncoderLayer Transformer",
        "arrange the features in NumPy before fit; Reshape and Flatten change shapes alone": "Permute Unflatten",
        _JOINS: "Bilinear",
        "only built-in layers are supported": "Lambda Wrapper TFSMLayer FlaxLayer JaxLayer TorchModuleWrapper "
        "InputSpec",
        "BatchNormalization, LayerNormalization, RMSNormalization and UnitNormalization are there": "GroupNorm "
        "GroupNormalization SpectralNormalization InstanceNormalization WeightNormalization LayerNorm RMSNorm "
        "InstanceNorm1d",
        "BatchNormalization is its name here, as in Keras": "BatchNorm BatchNorm1d BatchNorm2d BatchNormalisation",
        "Dense is its name here, as in Keras": "Linear Affine FullyConnected LazyLinear",
        "Dropout, AlphaDropout and GaussianDropout are there": "SpatialDropout1D SpatialDropout2D SpatialDropout3D "
        "Dropout1d Dropout2d FeatureAlphaDropout",
        'Activation takes it by name, Activation("gelu")': "GELU SiLU Tanh Sigmoid Softplus SELU CELU Mish Softsign "
        "LogSoftmax LogSigmoid Hardtanh Hardswish Hardsigmoid Hardshrink Softshrink Tanhshrink ReLU6",
        "ReLU(threshold=) is one": "ThresholdedReLU",
        _RECTIFIED: "GLU RReLU",
        "encode tables before fit; `fastreg tune` does it for a CSV or Parquet file": "Hashing HashedCrossing "
        "TextVectorization FeatureSpace",
        "images are prepared before fit": "Resizing CenterCrop RandomCrop RandomFlip RandomTranslation RandomRotation "
        "RandomZoom RandomContrast RandomBrightness RandomHeight RandomWidth RandomShear RandomSharpness "
        "RandomSaturation RandomHue RandomGrayscale RandomColorJitter RandomColorDegeneration RandomPosterization "
        "RandomInvert RandomErasing RandomGaussianBlur RandomPerspective RandomElasticTransform Solarization "
        "Equalization AutoContrast AugMix CutMix MixUp RandAugment MaxNumBoundingBoxes Pipeline MelSpectrogram "
        "STFTSpectrogram",
    },
    "activation": {
        _RECTIFIED: "crelu rrelu squared_relu thresholded_relu",
        "layers.PReLU is a layer, which learns its slopes": "prelu",
        "it halves the columns: Multiply joins a Dense and another one with activation='sigmoid'": "glu swiglu geglu",
        _BOUNDED: "erf arctan",
        "'sigmoid' is its name here, as in Keras": "logistic",
        "'softmax' of the negative is one": "softmin",
        "'linear', or None, is its name here, as in Keras": "identity none",
        "'exponential' is its name here, as in Keras": "exp",
    },
    "loss": {
        "'mean_absolute_error' is its name here, as in Keras": "l1 L1Loss absolute_error mad mae",
        "'mean_absolute_error' and 'huber' are the robust ones": "median_absolute_error SmoothL1Loss",
        "'mean_squared_error' has the same minimum": "rmse root_mean_squared_error",
        "'mean_squared_logarithmic_error' is its name here, as in Keras": "squared_log_error",
        "'poisson' is its name here, as in Keras; Tweedie(1.0) is the deviance": "PoissonNLLLoss",
        "GaussianNLL is its name here": "GaussianNLLLoss",
        "Tweedie(2.0) is its deviance": "gamma",
        "'huber' is its name here, as in Keras": "HuberLoss",
        "'mean_squared_error' is its name here, as in Keras": "MSELoss squared_error l2 l2_loss mse",
        "it is for images": "Tversky Dice tversky dice",
        "it is for sequences": "CTC ctc CTCLoss",
        "it is for pairs of rows; a row's loss depends on no other row here": "Circle circle TripletMarginLoss "
        "ContrastiveLoss",
        "'categorical_hinge' is there": "MultiMarginLoss perceptron",
        "'kl_divergence' is its name here, as in Keras": "KLDivLoss",
        _CLASSES: "focal NLLLoss CrossEntropyLoss cross_entropy crossentropy log_loss logloss BCELoss "
        "BCEWithLogitsLoss softmax_cross_entropy deviance",
    },
    "metric": {
        "it is for images; compute it from predict's outputs": "MeanIoU IoU BinaryIoU OneHotIoU OneHotMeanIoU",
        "'auc' is its name here, as in Keras, and AUC(curve='PR') is the average precision": "roc_auc roc_auc_score "
        "average_precision average_precision_score pr_auc",
        "metrics.Mean and metrics.Sum are for loops of your own": "Mean Sum MeanTensor",
        "the metrics of its kind are 'binary_crossentropy', 'categorical_crossentropy' and "
        "'sparse_categorical_crossentropy'": "crossentropy log_loss",
        "the history has the loss under 'loss' and, with validation data, 'val_loss'": "Huber",
    },
    "optimizer": {
        _ADAPTIVE: "Adafactor Lamb Muon ASGD LBFGS lbfgs SparseAdam SophiaG AdaBelief Ranger Shampoo Lars Novograd "
        "Adahessian",
        "Adam and AdamW have amsgrad=True": "AMSGrad",
        "everything computes in float32, where losses need no scale": "LossScaleOptimizer",
        "one optimizer trains a model": "MultiOptimizer OptimizerMap",
        "fastreg.schedules has them": "lr_scheduler",
    },
    "initializer": {
        "the GlorotUniform and GlorotNormal are Xavier's": "xavier xavier_uniform xavier_normal XavierUniform "
        "XavierNormal",
        "the HeUniform and HeNormal are Kaiming He's": "kaiming kaiming_uniform kaiming_normal KaimingUniform "
        "KaimingNormal",
        "Identity is its name here, as in Keras": "Dirac eye",
        "the model's set_weights puts any values in": "STFT STFTInitializer sparse",
    },
    "regularizer": {
        "L1, L2 and L1L2 are there": "elastic_net elasticnet weight_decay activity",
        "OrthogonalRegularizer is its name here, as in Keras": "orthogonal",
    },
    "callback": {
        _SUBCLASS: "RemoteMonitor OrbaxCheckpoint",
        "JSONLogger is its name here": "JSONLLogger JsonLogger",
    },
    "schedule": {
        "LinearWarmup is its name here": "WarmUp",
        "StepDecay is its name here": "StepLR",
        "ExponentialDecay is its name here, with decay_steps=schedules.Epochs(1)": "ExponentialLR",
        "CosineDecay is its name here, with decay_steps=schedules.Epochs(T_max)": "CosineAnnealingLR",
        "CosineDecayRestarts is its name here": "CosineAnnealingWarmRestarts",
        "PolynomialDecay is its name here; power=1.0 is a straight line": "LinearDecay PolynomialLR",
        "any function of the step is a schedule: Adam(lambda step: ...)": "LambdaLR NoamDecay",
        "it is one of fastreg.callbacks": "ReduceLROnPlateau LearningRateScheduler",
    },
    "model": {
        _FUNCTIONAL: "Functional",
        "Model.from_config and Sequential.from_config are the way": "model_from_config",
    },
    "name": {
        "fastreg.set_matmul_precision('medium') makes products of bfloat16 numbers, with float32 weights": "autocast "
        "mixed_precision dtype_policies DTypePolicy FloatDTypePolicy set_float32_matmul_precision "
        "default_matmul_precision set_dtype_policy",
        "fastreg computes with NumPy arrays in float32 and has no backend to choose": "backend config Variable "
        "KerasTensor StatelessScope SymbolicScope RematScope Operation device name_scope tree distribution remat",
        "data come as NumPy arrays, from wherever you like": "datasets preprocessing applications tensor Tensor "
        "as_tensor from_numpy constant DataLoader Dataset TensorDataset",
        "fastreg.utils.set_random_seed seeds everything": "random manual_seed set_seed",
        "model.save and fastreg.load are the way": "saving export legacy save",
        "fastreg.layers has the layers, and fastreg.Sequential and fastreg.Model make networks of them": "nn Module",
        "fit and train_on_batch compute the gradients, and fastreg.ops those of single operations": "no_grad grad "
        "inference_mode autograd GradientTape",
        "fastreg.search tunes and cross-validates": "wrappers",
        "fastreg.plots draws learning curves": "visualization",
        "fastreg.layers.Layer is the base of the layers": "Layer",
        _FUNCTIONAL: "Functional Function",
        "it is in a module of its own: losses.Loss, metrics.Metric, optimizers.Optimizer, initializers.Initializer, "
        "regularizers.Regularizer": "Loss Metric Optimizer Initializer Regularizer",
        "weights are float32": "quantizers Quantizer",
        "fastreg.__version__ is the version": "version",
        "fastreg itself has Keras's modules: fastreg.layers, fastreg.optimizers": "keras",
    },
    "utility": {
        "plot_model writes a picture of the layers as an SVG file": "model_to_dot",
        "scale features in NumPy before fit": "normalize",
        "fastreg.utils.to_categorical is there": "np_utils",
        "optimizers have clipnorm, clipvalue and global_clipnorm": "clip_grad_norm_ clip_grad_value_",
        "data come as NumPy arrays, and train_on_batch takes them batch by batch": "Sequence PyDataset data",
        "data come as NumPy arrays": "get_file image_dataset_from_directory "
        "text_dataset_from_directory timeseries_dataset_from_array split_dataset pad_sequences",
        "only built-in layers are supported, and need no registration": "register_keras_serializable "
        "custom_object_scope CustomObjectScope get_custom_objects",
    },
    "member": {
        "weights have their paths, [weight.path for weight in model.weights]": "get_weight_paths",
        "fit with batch_size=None makes one step of all rows; fastreg.ops has the parts of a loop of your own": (
            "train_step make_train_function compute_loss compute_metrics"
        ),
        "evaluate(x, y) scores any number of rows": "test_step make_test_function",
        "predict(x) takes any number of rows; freeze() makes what serves single ones fast": "predict_step "
        "make_predict_function call forward",
        "predict(x) gives the probabilities": "predict_proba",
        "predict(x).argmax(axis=1), or predict(x) > 0.5 where there is one output, gives the classes": (
            "predict_classes"
        ),
        "fit takes arrays, and train_on_batch one batch of any generator": "fit_generator",
        "data come as arrays": "evaluate_generator predict_generator",
        "compile(loss=) takes a function of your own, and layers have regularizers": "add_loss losses",
        "compile(metrics=) takes functions of your own": "add_metric",
        "get_compile_config() has what compile was given": "loss_weights run_eagerly jit_compile",
        "get_weights() and set_weights(weights), or save_weights(path) and load_weights(path), are the way": (
            "state_dict load_state_dict"
        ),
        "weights lists the weights, and get_weights() copies them": "parameters named_parameters buffers named_buffers",
        "layers lists the layers": "modules children named_modules named_children submodules",
        "add(layer) adds a layer": "add_module append",
        "trainable can be set": "requires_grad requires_grad_",
        "fit trains and predict does not, so that there is no mode to choose": "train eval",
        "fit and train_on_batch compute the gradients": "zero_grad",
        "everything is float32 on the CPU; compile(matmul_precision='medium') makes products of bfloat16 numbers": (
            "to cpu cuda double float half bfloat16 dtype device quantize"
        ),
        "save(path) writes the model": "to_yaml export get_build_config build_from_config",
        "fit returns the history": "get_metrics_result",
        "copy.deepcopy(model) makes a copy": "clone",
        "input_names and output_names tell what there is, and a model of the layers up to some value, as a layer of "
        "this one, gives that value by its predict (docs/networks.md)": "inputs outputs input output "
        "register_forward_hook get_output_at",
        "summary() shows the shapes": "input_shape output_shape",
    },
    "layer's member": {
        "a model of the layers up to here, as a layer of the whole one, gives this value by its predict "
        "(docs/networks.md)": "input output get_output_at register_forward_hook",
        "the model tells whether it is built": "built",
        "a model's loss contains all penalties": "losses",
        "trainable can be set": "requires_grad requires_grad_",
        "predict of a model of this layer computes it": "call forward",
    },
    "optimizer's member": {
        "fit and train_on_batch make the steps, and fastreg.ops.Updater those of a loop of your own": "step minimize "
        "apply_gradients apply stateless_apply zero_grad build get_updates get_gradients",
        "model.save(path) keeps its state, too": "state_dict load_state_dict variables get_weights set_weights",
        "layers have learning_rate_multiplier= and weight_decay_multiplier=": "param_groups add_param_group",
        "learning_rate is its name, as in Keras 3": "lr",
    },
    "search's member": {
        "best_score_ has it": "best_value",
        "best_params_ has them": "best_params best_hps get_best_hyperparameters",
        "results_ and to_frame() have the trials, and best_index_ tells the best one": "trials trials_dataframe study "
        "best_trial get_trials results",
        "best_model_ is the best one, and best_models(n) trains the n best": "get_best_models best_model",
        "summary() has them as a text": "results_summary search_space_summary",
        "fit(x, y) runs the search": "optimize search run",
        "predict gives the network's outputs": "predict_proba",
    },
    "search's name": {
        "BayesianSearch is there": "BayesSearchCV OptunaSearchCV BayesianOptimization",
        "GridSearch and RandomSearch take pruner=SuccessiveHalving()": "HalvingGridSearchCV HalvingRandomSearchCV",
        "LogUniform(low, high) is its name here": "loguniform",
        "Integer(low, high) is its name here": "randint IntUniform",
        "Choice([...]), or a list, is one of several values": "choice Categorical categorical",
        "Uniform(low, high) is its name here": "Real uniform",
        "a space is a dict of distributions": "HyperParameters Hyperparameters",
    },
    "operation": {
        "data are NumPy arrays, and NumPy has such functions": "mean sum square sqrt abs absolute exp log maximum "
        "log1p minimum max min clip cast shape reshape concatenate stack matmul where sign power add subtract divide "
        "expand_dims squeeze argmax argmin norm cumsum var std prod transpose zeros ones zeros_like ones_like "
        "convert_to_numpy convert_to_tensor array tensor",
        "loss('mse', outputs, targets) computes each of the losses with its gradient": "mse mse_loss cross_entropy",
    },
}
# What to write instead of an argument that a call does not have: {call: {hint: names}}.
_OF_CALLS: dict[str, dict[str, str]] = {
    "compile": {
        "the optimizer has it: optimizers.Adam(learning_rate)": "lr learning_rate",
        "metrics is its name here, as in Keras": "metric",
        "optimizer is its name here, as in Keras": "optimiser optim",
        "loss is its name here, as in Keras": "criterion loss_fn loss_function",
        "fit takes it": "epochs batch_size callbacks class_weight",
    },
    "fit": {
        "epochs is its name here, as in Keras": "epoch nb_epoch n_epochs num_epochs max_epochs max_iter",
        "batch_size is its name here, as in Keras": "batch batchsize bs",
        "validation_data is its name here, as in Keras": "validation val_data valid_data eval_set",
        "validation_split is its name here, as in Keras": "val_split validation_fraction",
        "callbacks is its name here, as in Keras": "callback",
        "class_weight is its name here, as in Keras": "class_weights",
        "sample_weight is its name here, as in Keras": "sample_weights weights",
        "data come as arrays, which need no workers": "workers use_multiprocessing max_queue_size",
        "compile takes it": "optimizer loss metrics learning_rate",
    },
    "predict": {
        "predict(x).argmax(axis=1) gives classes": "proba return_classes",
        "data come as arrays, which need no workers": "workers use_multiprocessing max_queue_size",
    },
    "evaluate": {
        "data come as arrays, which need no workers": "workers use_multiprocessing max_queue_size",
    },
}

# What arguments of constructors are called elsewhere: {name: name here}. A name counts where a class has it.
_ARGUMENTS = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "eps": "epsilon",
    "wd": "weight_decay",
    "p": "rate",
    "prob": "rate",
    "dropout": "rate",
    "dropout_rate": "rate",
    "bias": "use_bias",
    "out_features": "units",
    "nodes": "units",
    "neurons": "units",
    "hidden_units": "units",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "kernel_init": "kernel_initializer",
    "init": "kernel_initializer",
    "num_embeddings": "input_dim",
    "embedding_dim": "output_dim",
    "alpha": "negative_slope",
    **dict.fromkeys(("n_iter", "trials", "num_trials", "max_trials", "num_samples", "max_evals"), "n_trials"),
    "random_state": "seed",
    "n_splits": "cv",
    "objective": "scoring",
    "metric": "scoring",
    "timeout": "time_limit",
    "n_workers": "n_jobs",
    "verbosity": "verbose",
}
# The same where it takes more than a name.
_ARGUMENTS_IN_WORDS = {
    "betas": ("beta_1", "beta_1 and beta_2 are its names here"),
    "decay": ("learning_rate", "learning_rate takes a schedule, such as schedules.InverseTimeDecay"),
    "lr_decay": ("learning_rate", "learning_rate takes a schedule, such as schedules.InverseTimeDecay"),
    "params": ("learning_rate", "compile tells an optimizer which weights it trains"),
    "in_features": ("units", "the width of the input is found by itself"),
    "num_features": ("momentum", "the width of the input is found by itself"),
}

_KINDS_OF_MODULES = {
    "fastreg": "name",
    "fastreg.activations": "activation",
    "fastreg.layers": "layer",
    "fastreg.losses": "loss",
    "fastreg.metrics": "metric",
    "fastreg.optimizers": "optimizer",
    "fastreg.initializers": "initializer",
    "fastreg.regularizers": "regularizer",
    "fastreg.constraints": "constraint",
    "fastreg.callbacks": "callback",
    "fastreg.schedules": "schedule",
    "fastreg.models": "model",
    "fastreg.utils": "utility",
    "fastreg.ops": "operation",
}


def plain(name: str) -> str:
    """A name without case and underscores."""
    return name.lower().replace("_", "")


@cache
def _words(kind: str) -> dict[str, str]:
    return {plain(name): words for words, names in _SAID.get(kind, {}).items() for name in names.split()}


@cache
def _all_names() -> frozenset[str]:
    return frozenset(name for kind in _SAID for name in _words(kind))


def is_known_elsewhere(name: str, kind: str = "") -> bool:
    """Whether other libraries have a thing of this kind, or of any, that fastreg has not, so that it is no typo."""
    return plain(name) in (_words(kind) if kind in _SAID else _all_names())


def home_of(name: str) -> str:
    """``"; it is in fastreg.layers"`` for a name that one of fastreg's modules has, else nothing."""
    modules = (module for module in _KINDS_OF_MODULES if name in import_module(module).__all__)
    homes = "" if name == "get" else " and ".join(modules)
    return f"; it is in {homes}" if homes else ""


def instead(kind: str, name: str) -> str:
    """``"; fastreg does not have it: ..."``, or an empty text if no other library has the name."""
    words = _words(kind).get(plain(name))
    return f"; fastreg does not have it: {words}" if words else ""


def argument_instead(name: str, known: Collection[str]) -> str:
    """What to write instead of an argument that a class does not have, after ``"; "``, or an empty text.

    Args:
        name: The name that was given.
        known: The names of the arguments that the class has.
    """
    if name in _ARGUMENTS_IN_WORDS and _ARGUMENTS_IN_WORDS[name][0] in known:
        return f"; {_ARGUMENTS_IN_WORDS[name][1]}"
    return f"; {_ARGUMENTS[name]} is its name here" if _ARGUMENTS.get(name) in known else ""


def call_argument_instead(call: str, name: str) -> str:
    """What to write instead of an argument that a call of a model does not have, after ``"; "``, or an empty text."""
    found = (hint for hint, names in _OF_CALLS.get(call, {}).items() if name in names.split())
    return "".join(f"; {hint}" for hint in found)


def kind_of(module: str) -> str:
    """The kind of the names in one of fastreg's modules."""
    return _KINDS_OF_MODULES.get(module, "")
