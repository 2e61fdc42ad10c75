"""Names that Keras, PyTorch or scikit-learn have and fastreg has not, and what to use instead.

It is used only where a name was not found: by the ``__getattr__`` of a module, by a lookup by name, and by the search
for a likely typo, which must not propose another thing with a similar name.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

_DENSE_ONLY = "networks are stacks of dense layers; a row of n features goes into Dense, so flatten other data first"
_REGRESSION = "the losses for numbers are 'mean_squared_error' and, with outliers, 'huber'"
_CLASSES = "the losses for classes are the cross-entropies: binary, categorical and sparse_categorical"
_COMPUTE = "compute it from predict's outputs, with sklearn.metrics say"
_RECTIFIED = "'leaky_relu', 'elu', 'selu', 'gelu', 'silu' and 'mish' are the ones of this kind that there are"
_BOUNDED = "'sigmoid' and 'tanh' are the bounded ones that there are"
_ADAPTIVE = "'adam', 'adamw', 'lion', 'rmsprop' and 'sgd' with momentum are there"
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
        "ConvLSTM3D Embedding ReversibleEmbedding Attention AdditiveAttention MultiHeadAttention "
        "GroupedQueryAttention GroupQueryAttention EinsumDense Masking ZeroPadding1D ZeroPadding2D ZeroPadding3D "
        "Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D RepeatVector Conv1d Conv2d Conv3d "
        "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d TransformerEncoderLayer Transformer",
        "arrange the features in NumPy before fit: numpy.reshape(x, (len(x), -1)) makes rows of anything": "Flatten "
        "Reshape Permute Unflatten",
        _JOINS: "Subtract Average Maximum Minimum Dot subtract average maximum minimum dot Bilinear",
        "Add()([a, b]), Multiply()([a, b]) and Concatenate()([a, b]) are the layers": "add multiply concatenate",
        "only built-in layers are supported": "Lambda Wrapper TFSMLayer FlaxLayer JaxLayer TorchModuleWrapper "
        "InputSpec Identity",
        "scale features before fit with (x - mean) / std of the training rows; in a search preprocess='standard' does "
        "it for each fold. BatchNormalization normalises within a batch, which is another thing": "Normalization",
        "BatchNormalization is the only layer that normalises": "LayerNormalization GroupNormalization "
        "UnitNormalization SpectralNormalization RMSNormalization InstanceNormalization WeightNormalization LayerNorm "
        "GroupNorm RMSNorm InstanceNorm1d",
        "BatchNormalization is its name here, as in Keras": "BatchNorm BatchNorm1d BatchNorm2d BatchNormalisation",
        "Dense is its name here, as in Keras": "Linear Affine FullyConnected LazyLinear",
        "Dropout is the only layer that adds noise": "AlphaDropout SpatialDropout1D SpatialDropout2D SpatialDropout3D "
        "GaussianDropout GaussianNoise Dropout1d Dropout2d FeatureAlphaDropout",
        "penalties of weights are regularizers: Dense(kernel_regularizer=)": "ActivityRegularization",
        'Activation takes it by name, Activation("relu"); leaky_relu has the slope 0.2': "ReLU LeakyReLU ELU Softmax "
        "GELU SiLU Tanh Sigmoid Softplus",
        _RECTIFIED: "ThresholdedReLU PReLU SELU CELU ReLU6 Hardtanh Hardswish Hardsigmoid Mish GLU RReLU",
        "encode tables before fit; `fastreg tune` does it for a CSV or Parquet file": "CategoryEncoding Discretization "
        "Hashing HashedCrossing StringLookup IntegerLookup TextVectorization Rescaling FeatureSpace",
        "images are prepared before fit": "Resizing CenterCrop RandomCrop RandomFlip RandomTranslation RandomRotation "
        "RandomZoom RandomContrast RandomBrightness RandomHeight RandomWidth RandomShear RandomSharpness "
        "RandomSaturation RandomHue RandomGrayscale RandomColorJitter RandomColorDegeneration RandomPosterization "
        "RandomInvert RandomErasing RandomGaussianBlur RandomPerspective RandomElasticTransform Solarization "
        "Equalization AutoContrast AugMix CutMix MixUp RandAugment MaxNumBoundingBoxes Pipeline MelSpectrogram "
        "STFTSpectrogram",
    },
    "activation": {
        _RECTIFIED: "celu prelu relu6 crelu rrelu glu swiglu geglu hard_silu hard_swish squared_relu "
        "hard_shrink soft_shrink threshold thresholded_relu",
        _BOUNDED: "hard_sigmoid hard_tanh softsign tanh_shrink log_sigmoid sparse_sigmoid squareplus sparse_plus "
        "logistic erf arctan",
        "end with 'softmax' and a cross-entropy, which computes the logarithm itself": "log_softmax softmin sparsemax",
        "'linear', or None, is its name here, as in Keras": "identity none",
        "'linear' is the last activation for numbers, or 'softplus' where they are > 0": "exponential exp",
    },
    "loss": {
        _REGRESSION + "; the metric 'mean_absolute_error' watches absolute errors": "MeanAbsoluteError mae "
        "l1 L1Loss SmoothL1Loss absolute_error mad median_absolute_error",
        _REGRESSION: "LogCosh MeanAbsolutePercentageError MeanSquaredLogarithmicError mape msle CosineSimilarity "
        "Poisson Tversky pinball quantile PoissonNLLLoss GaussianNLLLoss rmse root_mean_squared_error "
        "squared_log_error tweedie gamma",
        "'huber' is its name here, as in Keras": "HuberLoss",
        "'mean_squared_error' is its name here, as in Keras": "MSELoss squared_error l2 l2_loss",
        _CLASSES: "Hinge SquaredHinge CategoricalHinge KLDivergence BinaryFocalCrossentropy "
        "CategoricalFocalCrossentropy Dice CTC Circle CategoricalGeneralizedCrossEntropy kld kl_divergence "
        "kullback_leibler_divergence focal NLLLoss KLDivLoss CrossEntropyLoss cross_entropy crossentropy log_loss "
        "logloss BCELoss BCEWithLogitsLoss MultiMarginLoss softmax_cross_entropy deviance perceptron",
    },
    "metric": {
        _COMPUTE: "Precision Recall TruePositives TrueNegatives FalsePositives FalseNegatives FBetaScore "
        "PrecisionAtRecall RecallAtPrecision SensitivityAtSpecificity SpecificityAtSensitivity R2Score "
        "TopKCategoricalAccuracy SparseTopKCategoricalAccuracy MeanIoU IoU BinaryIoU OneHotIoU OneHotMeanIoU "
        "CosineSimilarity MeanAbsolutePercentageError MeanSquaredLogarithmicError LogCoshError PearsonCorrelation "
        "ConcordanceCorrelation Poisson mape msle r2 average_precision "
        "balanced_accuracy matthews_corrcoef cohen_kappa kappa specificity sensitivity log_cosh "
        "top_k_categorical_accuracy",
        "'auc' is its name here, as in Keras": "roc_auc roc_auc_score",
        "'f1_score' is its name here, as in Keras": "f1",
        "the square root of 'mean_squared_error'": "RootMeanSquaredError rmse",
        "the history has the loss under 'loss' and, with validation data, 'val_loss'": "BinaryCrossentropy "
        "CategoricalCrossentropy SparseCategoricalCrossentropy Hinge SquaredHinge CategoricalHinge KLDivergence kld "
        "crossentropy log_loss Huber",
        "a mean of a metric over epochs can be taken from the history": "Mean Sum MeanMetricWrapper MeanTensor",
        "'accuracy' takes the one that fits the loss; BinaryAccuracy, CategoricalAccuracy and "
        "SparseCategoricalAccuracy are the classes": "Accuracy",
    },
    "optimizer": {
        _ADAPTIVE: "Adagrad Adadelta Adamax Nadam Ftrl Adafactor Lamb Muon LossScaleOptimizer RAdam NAdam Rprop "
        "ASGD LBFGS lbfgs SparseAdam SophiaG AdaBelief Ranger Shampoo Lars Novograd Adahessian AMSGrad",
    },
    "initializer": {
        "the GlorotUniform and GlorotNormal are Xavier's": "xavier xavier_uniform xavier_normal XavierUniform "
        "XavierNormal",
        "the HeUniform and HeNormal are Kaiming He's": "kaiming kaiming_uniform kaiming_normal KaimingUniform "
        "KaimingNormal",
        "the model's set_weights puts any values in": "Orthogonal OrthogonalInitializer Identity IdentityInitializer "
        "STFT STFTInitializer Dirac eye sparse",
        "GlorotUniform, HeNormal and their kin are its usual cases": "VarianceScaling",
    },
    "regularizer": {
        "L1, L2 and L1L2 are there": "OrthogonalRegularizer orthogonal elastic_net elasticnet weight_decay activity",
    },
    "callback": {
        _SUBCLASS + ": call self.model.save there": "ModelCheckpoint BackupAndRestore SwapEMAWeights",
        _SUBCLASS + ": set self.model.learning_rate there, or give the optimizer one of fastreg.schedules": (
            "ReduceLROnPlateau LearningRateScheduler"
        ),
        _SUBCLASS: "LambdaCallback RemoteMonitor OrbaxCheckpoint CallbackList",
        "fit's history has the values of all epochs; " + _SUBCLASS: "TensorBoard CSVLogger",
        "a run that diverges raises DivergenceError by itself": "TerminateOnNaN",
        "fit(verbose=1) shows progress, fit(verbose=2) a line for each epoch": "ProgbarLogger",
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
        "activations are given by name, Dense(8, 'relu'); fastreg.ops.activation computes one": "activations",
        "penalties are in fastreg.regularizers; a limit of weights can be kept in a callback, by "
        "set_weights": "constraints",
        "fastreg computes with NumPy arrays in float32 and has no backend to choose": "backend config dtype_policies "
        "mixed_precision DTypePolicy FloatDTypePolicy Variable KerasTensor StatelessScope SymbolicScope RematScope "
        "Operation device name_scope tree distribution remat",
        "data come as NumPy arrays, from wherever you like": "datasets preprocessing applications",
        "fastreg.utils.set_random_seed seeds everything": "random",
        "model.save and fastreg.load are the way": "saving export legacy",
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
        "data come as NumPy arrays": "Sequence PyDataset get_file image_dataset_from_directory "
        "text_dataset_from_directory timeseries_dataset_from_array split_dataset pad_sequences",
        "only built-in layers are supported, and need no registration": "register_keras_serializable "
        "custom_object_scope CustomObjectScope get_custom_objects",
    },
    "member": {
        "weights have their paths, [weight.path for weight in model.weights]": "get_weight_paths",
        "fit with batch_size=None makes one step of all rows; fastreg.ops has the parts of a loop of your own": (
            "train_on_batch train_step make_train_function compute_loss compute_metrics"
        ),
        "evaluate(x, y) scores any number of rows": "test_on_batch test_step make_test_function",
        "predict(x) takes any number of rows; freeze() makes what serves single ones fast": "predict_on_batch "
        "predict_step make_predict_function call predict_proba predict_classes",
        "save(path) writes the model": "to_yaml export get_build_config build_from_config",
        "fit returns the history": "metrics_names reset_metrics get_metrics_result",
        "copy.deepcopy(model) makes a copy": "clone",
        "input_names and output_names tell what there is": "inputs outputs input output",
        "summary() shows the shapes": "input_shape output_shape",
    },
}

_KINDS_OF_MODULES = {
    "fastreg": "name",
    "fastreg.layers": "layer",
    "fastreg.losses": "loss",
    "fastreg.metrics": "metric",
    "fastreg.optimizers": "optimizer",
    "fastreg.initializers": "initializer",
    "fastreg.regularizers": "regularizer",
    "fastreg.callbacks": "callback",
    "fastreg.schedules": "schedule",
    "fastreg.models": "model",
    "fastreg.utils": "utility",
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


def kind_of(module: str) -> str:
    """The kind of the names in one of fastreg's modules."""
    return _KINDS_OF_MODULES.get(module, "")
