"""Names that are not there: what Keras has and fastreg has not is said to be so, and guesses are typos only."""

import importlib
import pickle
import subprocess
import sys

import fastreg as fr
import pytest
from fastreg import initializers, layers, losses, metrics, optimizers, regularizers

# Keras 3's public names, fastreg's own included.
KERAS = {
    "layers": """
        Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
        AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention
        AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
        BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D Conv1DTranspose Conv2D
        Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution2D
        Convolution3D Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot
        Dropout ELU EinsumDense Embedding Equalization Flatten FlaxLayer GRU GRUCell GaussianDropout GaussianNoise
        GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D
        GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D
        GlobalMaxPooling3D GroupNormalization GroupQueryAttention HashedCrossing Hashing Identity Input InputLayer
        InputSpec IntegerLookup JaxLayer LSTM LSTMCell Lambda Layer LayerNormalization LeakyReLU Masking
        MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D Maximum
        MelSpectrogram Minimum MixUp
        MultiHeadAttention Multiply Normalization PReLU Permute Pipeline RMSNormalization RNN RandAugment
        RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform
        RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
        RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom
        ReLU RepeatVector Rescaling Reshape Resizing STFTSpectrogram SeparableConv1D SeparableConv2D
        SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
        SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract TFSMLayer
        TextVectorization TimeDistributed TorchModuleWrapper UnitNormalization UpSampling1D UpSampling2D UpSampling3D
        Wrapper ZeroPadding1D ZeroPadding2D ZeroPadding3D add average concatenate dot maximum minimum multiply subtract
    """,
    "losses": """
        BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
        CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence
        LogCosh Loss MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
        SparseCategoricalCrossentropy SquaredHinge Tversky
    """,
    "metrics": """
        AUC Accuracy BinaryAccuracy BinaryCrossentropy BinaryIoU CategoricalAccuracy CategoricalCrossentropy
        CategoricalHinge ConcordanceCorrelation CosineSimilarity F1Score FBetaScore FalseNegatives FalsePositives Hinge
        IoU KLDivergence LogCoshError Mean MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanMetricWrapper
        MeanSquaredError MeanSquaredLogarithmicError Metric OneHotIoU OneHotMeanIoU PearsonCorrelation Poisson Precision
        PrecisionAtRecall R2Score Recall RecallAtPrecision RootMeanSquaredError SensitivityAtSpecificity
        SparseCategoricalAccuracy SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity
        SquaredHinge Sum TopKCategoricalAccuracy TrueNegatives TruePositives
    """,
    "optimizers": """
        Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam Optimizer RMSprop SGD
    """,
    "callbacks": """
        BackupAndRestore CSVLogger Callback CallbackList EarlyStopping History LambdaCallback LearningRateScheduler
        ModelCheckpoint ProgbarLogger ReduceLROnPlateau RemoteMonitor SwapEMAWeights TensorBoard TerminateOnNaN
    """,
    "initializers": """
        Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer Initializer LecunNormal
        LecunUniform Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer
        TruncatedNormal VarianceScaling Zeros
    """,
    "regularizers": "L1 L1L2 L2 OrthogonalRegularizer Regularizer",
    "schedules": """
        CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay LearningRateSchedule PiecewiseConstantDecay
        PolynomialDecay
    """,
    "models": "Model Sequential clone_model load_model model_from_json save_model",
}
TOP = """
    DTypePolicy FloatDTypePolicy Function Initializer Input KerasTensor Layer Loss Metric Model Operation Optimizer
    Quantizer Regularizer Sequential StatelessScope SymbolicScope Variable activations applications backend callbacks
    config constraints datasets device distribution dtype_policies export initializers layers legacy losses metrics
    mixed_precision models name_scope ops optimizers preprocessing quantizers random regularizers saving tree utils
    version visualization wrappers
"""
ACTIVATIONS = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
"""
PLACES = [(module, name) for module, names in KERAS.items() for name in names.split()]
PLACES += [("", name) for name in TOP.split()]


def module_of(place):
    return importlib.import_module(f"fastreg.{place}" if place else "fastreg")


ABSENT = [(place, name) for place, name in PLACES if name not in module_of(place).__all__]


def test_the_table_has_both_kinds():
    assert len(ABSENT) > 120
    assert len(PLACES) - len(ABSENT) > 120


@pytest.mark.parametrize(("place", "name"), ABSENT)
def test_an_absent_name_says_what_to_use(place, name):
    module = module_of(place)
    assert not hasattr(module, name)
    assert getattr(module, name, None) is None
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; fastreg does not have it: ['\w]") as caught:
        getattr(module, name)
    assert "did you mean" not in str(caught.value)
    with pytest.raises(ImportError, match=rf"'{name}'; fastreg does not have it: ['\w]"):
        exec(f"from {module.__name__} import {name}", {})


@pytest.mark.parametrize("place", KERAS)
def test_a_name_that_nobody_has(place):
    module = module_of(place)
    with pytest.raises(AttributeError, match=r"has no attribute 'Quux'$"):
        _ = module.Quux
    with pytest.raises(ImportError, match="Quux"):
        exec(f"from {module.__name__} import Quux", {})
    with pytest.raises(AttributeError, match="__quux__"):
        _ = module.__quux__


@pytest.mark.parametrize(
    ("place", "typo", "name"),
    [
        ("layers", "Desne", "Dense"),
        ("layers", "Droput", "Dropout"),
        ("layers", "BatchNormalizaton", "BatchNormalization"),
        ("losses", "mean_squared_eror", "mean_squared_error"),
        ("optimizers", "RMSProp", "RMSprop"),
        ("callbacks", "EarlyStoping", "EarlyStopping"),
        ("", "Sequental", "Sequential"),
        ("", "optimizer", "optimizers"),
        ("", "regularizer", "regularizers"),
        ("losses", "binary_crossentrpy", "binary_crossentropy"),
        ("losses", "CategoricalCrossEntropy", "CategoricalCrossentropy"),
        ("losses", "CosineSimilarty", "CosineSimilarity"),
        ("losses", "MeanSquareError", "MeanSquaredError"),
        ("metrics", "BinaryAcuracy", "BinaryAccuracy"),
        ("utils", "to_categoricl", "to_categorical"),
        ("ops", "batchnorm", "batch_norm"),
    ],
)
def test_a_typo_is_guessed(place, typo, name):
    with pytest.raises(AttributeError, match=rf"'{typo}' \(did you mean '{name}'\?\)"):
        getattr(module_of(place), typo)


@pytest.mark.parametrize(
    ("place", "name", "home"),
    [
        ("", "Dense", "fastreg.layers"),
        ("", "EarlyStopping", "fastreg.callbacks"),
        ("", "to_categorical", "fastreg.utils"),
        ("", "BinaryCrossentropy", "fastreg.losses and fastreg.metrics"),
        ("", "MeanSquaredError", "fastreg.losses and fastreg.metrics"),
        ("layers", "Adam", "fastreg.optimizers"),
        ("layers", "Sequential", "fastreg and fastreg.models"),
        ("losses", "BinaryAccuracy", "fastreg.metrics"),
    ],
)
def test_a_name_of_another_module_is_found(place, name, home):
    with pytest.raises(AttributeError, match=rf"has no attribute '{name}'; it is in {home}$"):
        getattr(module_of(place), name)


def test_modules_that_must_be_imported_say_so():
    program = """
import fastreg as fr
for name in ("table", "sklearn"):
    assert not hasattr(fr, name)
    try:
        getattr(fr, name)
    except AttributeError as error:
        assert str(error) == f"module 'fastreg' has no attribute '{name}' before 'import fastreg.{name}'", error
from fastreg import table, sklearn
assert fr.table is table and fr.sklearn is sklearn
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("place", "name"), [("utils", "model_to_dot"), ("utils", "normalize"), ("", "keras")])
def test_further_names_of_keras(place, name):
    with pytest.raises(AttributeError, match=rf"'{name}'; fastreg does not have it: "):
        getattr(module_of(place), name)


@pytest.mark.parametrize("name", ["LeakyReLU", "leakyrelu", "Leaky_Relu_"])
def test_an_activation_is_guessed_and_shown_as_it_was_given(name):
    with pytest.raises(ValueError, match=rf"unknown activation '{name}'; .*\(did you mean 'leaky_relu'\?\)"):
        layers.Dense(1, name)


def resolvers():
    yield from (("activation", name, lambda v: layers.Dense(1, v)) for name in ACTIVATIONS.split())
    snake = {"MeanAbsoluteError": "mean_absolute_error", "KLDivergence": "kl_divergence"}
    for place, get in (
        ("losses", losses.get),
        ("metrics", metrics.get),
        ("optimizers", optimizers.get),
        ("initializers", initializers.get),
        ("regularizers", regularizers.get),
    ):
        for name in KERAS[place].split():
            yield from ((place, text, get) for text in dict.fromkeys([name, name.lower(), snake.get(name, name)]))
    for name in ("mae", "mape", "msle", "kld", "huber", "log_cosh", "rmse", "cosine_similarity"):
        yield "losses", name, losses.get
    for name in ("auc", "f1", "rmse", "r2", "mape", "precision"):
        yield "metrics", name, metrics.get
    for name in ("xavier_uniform", "kaiming_normal", "orthogonal"):
        yield "initializers", name, initializers.get


@pytest.mark.parametrize(("place", "name", "get"), list(resolvers()))
def test_a_name_given_as_text_is_taken_or_explained(place, name, get):
    """Never another thing is proposed: selu is not elu, adamax not adam, mean_absolute_error not squared."""
    if name in ("Loss", "loss", "Metric", "metric", "Optimizer", "optimizer", "Initializer", "initializer"):
        return  # bases
    if name in ("Regularizer", "regularizer", "Accuracy", "accuracy", "threshold"):  # threshold needs its parameters
        return
    try:
        get(name)
    except ValueError as error:
        if "must be given its argument" in str(error):
            return  # a class that is there, but not by its name alone
        assert "; fastreg does not have it: " in str(error)  # noqa: PT017
        assert "did you mean" not in str(error)  # noqa: PT017


@pytest.mark.parametrize(
    ("value", "known", "guess"),
    [
        ("epocs", ["epochs", "batch_size"], "epochs"),
        ("n_trails", ["n_trials", "n_jobs"], "n_trials"),
        ("learningrate", ["learning_rate"], "learning_rate"),
        ("sofmax", layers.ACTIVATIONS, "softmax"),
        ("reul", layers.ACTIVATIONS, "relu"),
        ("val_acc", ["loss", "accuracy", "val_loss", "val_accuracy"], "val_accuracy"),
        ("accuracy", ["accuracy", "loss"], "accuracy"),
        ("soft", layers.ACTIVATIONS, None),
        ("l1", ["l2"], None),
        ("mae", ["mse"], None),
        ("min_delta", ["max_delta"], None),
        ("val_loss", ["loss"], None),
        ("crelu", ["relu", "elu"], None),
        ("selu", ["relu", "elu", "gelu", "silu"], None),
        ("adamax", ["adam", "adamw"], None),
        ("Normalization", ["BatchNormalization"], None),
        ("mean_absolute_error", ["mean_squared_error"], None),
        ("", ["a"], None),
    ],
)
def test_guesses(value, known, guess):
    from fastreg.internal.typos import closest

    assert closest(value, known) == guess


def test_a_name_of_another_kind_may_be_a_typo():
    """Huber is known elsewhere as what a metric might be called, but not as an activation."""
    from fastreg.internal.typos import closest

    assert closest("elus", ["elu"]) == "elu"
    assert closest("Huber", ["hube"], "metric") is None
    assert closest("Huber", ["hube"], "activation") == "hube"
    assert closest("SELU", ["selu", "elu"], "activation") == "selu"


def test_members_of_a_model():
    model = fr.Sequential([fr.layers.Dense(1)], seed=0)
    names = "to_yaml train_step predict_step export compute_loss make_train_function"
    for name in names.split():
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=rf"'Sequential' object has no attribute '{name}'; fastreg does not"):
            getattr(model, name)
    with pytest.raises(AttributeError, match=r"'predct' \(did you mean 'predict'\?\)"):
        _ = model.predct
    with pytest.raises(AttributeError, match=r"no attribute '_network_'$"):
        _ = model._network_
    assert pickle.loads(pickle.dumps(model)).seed == 0


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("state_dict", "save_weights"),
        ("parameters", "model.weights|get_weights"),
        ("eval", "no mode"),
        ("to", "float32"),
        ("forward", "predict"),
        ("predict_classes", "argmax"),
        ("fit_generator", "train_on_batch"),
        ("add_loss", "loss="),
        ("outputs", "docs/networks.md"),
    ],
)
def test_members_of_other_models(name, hint):
    """What PyTorch's modules and Keras's models have, by name: the error says what takes its place."""
    model = fr.Sequential([fr.Input((2,)), fr.layers.Dense(1)], seed=0)
    with pytest.raises(AttributeError, match=rf"no attribute '{name}'; fastreg does not have it: .*({hint})"):
        getattr(model, name)
    assert not hasattr(model, name)


@pytest.mark.parametrize("first", [[], [fr.Input((2,))]])
def test_members_of_other_layers(first):
    model = fr.Sequential([*first, layers.Dense(1)], seed=0)
    assert model.built == bool(first)
    with pytest.raises(AttributeError, match=r"no attribute 'output'; fastreg does not have it: .*networks\.md"):
        _ = model.layers[0].output


@pytest.mark.parametrize("name", ["step", "apply_gradients", "state_dict", "param_groups", "lr"])
def test_members_of_other_optimizers(name):
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    for optimizer in (optimizers.Adam(), model.optimizer):
        with pytest.raises(AttributeError, match=rf"'Adam' object has no attribute '{name}'; fastreg does not have it"):
            getattr(optimizer, name)
        with pytest.raises(AttributeError, match=r"has no attribute '_quux'$|^_quux$"):
            _ = optimizer._quux
    assert pickle.loads(pickle.dumps(optimizers.Adam(0.5))) == optimizers.Adam(0.5)


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: optimizers.Adam(lr=0.1), r"'lr'; learning_rate is its name here"),
        (lambda: optimizers.Adam(betas=(0.9, 0.99)), r"'betas'; beta_1 and beta_2 are its names here"),
        (lambda: optimizers.SGD(eps=1.0), r"'eps'$"),
        (lambda: layers.Dropout(p=0.5), r"'p'; rate is its name here"),
        (lambda: layers.Dense(3, bias=False), r"'bias'; use_bias is its name here"),
        (lambda: layers.BatchNormalization(eps=1e-5), r"'eps'; epsilon is its name here"),
        (lambda: layers.Dense(unit=3), r"'unit' \(did you mean 'units'\?\)"),
        (lambda: layers.Dense(3, quux=1), r"'quux'$"),
        (lambda: layers.Dense(), r"missing 1 required positional argument: 'units'$"),
    ],
)
def test_arguments_of_other_names(make, hint):
    with pytest.raises(TypeError, match=hint):
        make()


@pytest.mark.parametrize(("name", "hint"), [("epoch", "epochs"), ("val_data", "validation_data"), ("quux", None)])
def test_arguments_of_fit_under_other_names(name, hint):
    model = fr.Sequential([layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    end = f"; {hint} is its name here, as in Keras" if hint else ""
    with pytest.raises(TypeError, match=rf"^fit\(\) got an unexpected keyword argument '{name}'{end}$"):
        model.fit([[1.0]], [1.0], **{name: 1})


def test_arguments_of_compile_under_other_names():
    with pytest.raises(TypeError, match=r"'lr'; the optimizer has it"):
        fr.Sequential([layers.Dense(1)]).compile("adam", "mse", lr=0.1)


def test_a_number_in_place_of_a_description():
    """PyTorch's Linear takes two widths, and weight_decay is a number there."""
    with pytest.raises(TypeError, match=r"activation must be the name or function of an activation, got 16; the width"):
        layers.Dense(8, 16)
    with pytest.raises(TypeError, match=r"expected a regularizer or the name of one, got 0.01; write regularizers.L2"):
        layers.Dense(8, kernel_regularizer=0.01)
    for bad in (True, -1.0, float("nan")):
        with pytest.raises(TypeError, match=r"got [^;]*$"):
            layers.Dense(8, kernel_regularizer=bad)


@pytest.mark.parametrize("name", ["mean", "convert_to_tensor", "mse"])
def test_operations_of_keras(name):
    with pytest.raises(AttributeError, match=rf"'{name}'; fastreg does not have it: "):
        getattr(fr.ops, name)


def test_what_looks_at_modules_is_not_disturbed():
    """`import *`, dir, pickles of classes, and inspect's and doctest's questions."""
    for place in KERAS:
        module = module_of(place)
        space = {}
        exec(f"from {module.__name__} import *", space)
        assert set(module.__all__) <= set(space)
        assert set(module.__all__) <= set(dir(module))
        assert not hasattr(module, "__wrapped__")
    assert pickle.loads(pickle.dumps(layers.Dense)) is layers.Dense


def test_the_names_cost_an_import_nothing():
    program = """
import sys
import fastreg as fr
from fastreg import callbacks, layers, losses, metrics, models, optimizers, regularizers, schedules
hasattr(layers, "__path__")
print([name for name in ("fastreg.internal.absent", "fastreg.internal.typos") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_plots_and_diagnosis_are_attributes():
    program = "import fastreg as fr; print(fr.plots.learning_curves.__name__, fr.diagnosis.diagnose.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["learning_curves", "diagnose"], "")
    assert {"plots", "diagnosis"} <= set(dir(fr))


def test_the_package_runs_as_the_command():
    done = subprocess.run([sys.executable, "-m", "fastreg", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"fastreg {fr.__version__}\n")
