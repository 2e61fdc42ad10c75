"""The public names of Keras and their arguments that fastreg has not, and the lists of exceptions, each with a reason.

    KERAS_BACKEND=jax python tests/helpers/keras_names.py

prints what is missing in each module, and the exceptions. tests/peer/test_keras_names.py asks the same.
"""
from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

# Why a name of Keras is not there: {module: {reason: names}}.
EXCEPTIONS: dict[str, dict[str, str]] = {
    "layers": {
        "convolution": "Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Convolution1D "
        "Convolution1DTranspose Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose "
        "DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D SeparableConvolution1D SeparableConvolution2D "
        "Cropping1D Cropping2D Cropping3D UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D "
        "ZeroPadding3D AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D MaxPool1D "
        "MaxPool2D MaxPool3D MaxPooling1D MaxPooling2D MaxPooling3D GlobalAveragePooling1D GlobalAveragePooling2D "
        "GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D "
        "GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D AdaptiveAveragePooling1D "
        "AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D "
        "AdaptiveMaxPooling3D SpatialDropout1D SpatialDropout2D SpatialDropout3D",
        "recurrence": "Bidirectional ConvLSTM1D ConvLSTM2D ConvLSTM3D GRU GRUCell LSTM LSTMCell Masking RNN SimpleRNN "
        "SimpleRNNCell StackedRNNCells TimeDistributed RepeatVector",
        "attention": "AdditiveAttention Attention GroupQueryAttention MultiHeadAttention EinsumDense "
        "ReversibleEmbedding",
        "images": "AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization "
        "MaxNumBoundingBoxes MelSpectrogram MixUp Pipeline RandAugment RandomBrightness RandomColorDegeneration "
        "RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip "
        "RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization "
        "RandomRotation RandomSaturation "
        "RandomSharpness RandomShear RandomTranslation RandomZoom Resizing STFTSpectrogram Solarization "
        "GroupNormalization Permute",
        "sequences of words": "TextVectorization",
        "Python code of another framework within a network": "FlaxLayer JaxLayer Lambda TFSMLayer TorchModuleWrapper "
        "Wrapper InputSpec SpectralNormalization",
        "hashes of categories come with tables": "HashedCrossing Hashing",
    },
    "activations": {},
    "losses": {
        "images": "Circle circle Dice dice Tversky tversky",
        "recurrence": "CTC ctc",
    },
    "metrics": {
        "images": "BinaryIoU IoU MeanIoU OneHotIoU OneHotMeanIoU",
    },
    "optimizers": {
        "weights averages and matrices of steps come later": "Muon",
        "for layers far larger than fastreg's": "Adafactor Lamb",
        "everything is float32": "LossScaleOptimizer",
        "learning rates by layer are multipliers of the layers": "MultiOptimizer OptimizerMap",
    },
    "schedules": {},
    "regularizers": {},
    "initializers": {"images": "STFT STFTInitializer stft"},
    "constraints": {},
    "callbacks": {
        "a server of one's own": "RemoteMonitor",
        "a package of JAX": "OrbaxCheckpoint",
    },
    "Sequential": {},
    "Model": {},
}
# What both kinds of models have in Keras and not here.
OF_MODELS = {
    "code of one's own within a step; a loop of one's own uses train_on_batch and fastreg.ops": "add_loss add_metric "
    "add_variable add_weight call compute_loss compute_loss_and_updates compute_mask compute_metrics losses "
    "make_predict_function make_test_function make_train_function metrics_variables predict_step test_step train_step "
    "get_metrics_result stateless_call stateless_compute_loss symbolic_call rematerialized_call",
    "everything is float32 and compiled": "compute_dtype dtype dtype_policy input_dtype variable_dtype jit_compile "
    "run_eagerly quantization_mode quantize quantized_build quantized_call get_quantization_layer_structure "
    "supports_masking",
    "the parts of other backends": "compute_output_spec get_state_tree set_state_tree jax_state_sync "
    "load_own_variables save_own_variables input_spec path",
    "a description has no single value that a later network could begin or end with": "input output",
    "freeze serves a model": "export",
    "get_config has the number of features": "build_from_config get_build_config",
}
EXCEPTIONS["Model"] = OF_MODELS
EXCEPTIONS["Sequential"] = OF_MODELS | {"a list of layers has no values of its own": "inputs outputs"}

# Arguments of names that both have: {"module.Name": {reason: arguments}}; "*" is every name of the module.
ARGUMENTS: dict[str, dict[str, str]] = {
    "losses.Loss": {"the bases make nothing by themselves; the losses take these arguments": "name reduction dtype"},
    "metrics.Metric": {"the bases make nothing by themselves; the metrics take these arguments": "name dtype"},
}


class Missing(NamedTuple):
    """A name of Keras, or an argument of one, that fastreg has not."""

    module: str
    name: str
    argument: str = ""

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" + (f"({self.argument}=)" if self.argument else "")


def modules() -> dict[str, tuple[Any, Any]]:
    """Keras's modules and classes, and fastreg's; None where there is none."""
    import fastreg
    import keras

    found: dict[str, tuple[Any, Any]] = {
        name: (getattr(keras, name), _module(name)) for name in EXCEPTIONS if hasattr(keras, name)
    }
    found["schedules"] = (keras.optimizers.schedules, _module("schedules"))
    for kind in ("Sequential", "Model"):
        found[kind] = (getattr(keras, kind), getattr(fastreg, kind))
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(f"fastreg.{name}")
    except ImportError:
        return None


def public(keras_module: Any) -> list[str]:
    """The public names of a module or class."""
    return [name for name in dir(keras_module)
            if not name.startswith("_") and not inspect.ismodule(getattr(keras_module, name))]


def excepted(module: str) -> dict[str, str]:
    """The reason for each name of a module that is not there."""
    return {name: reason for reason, names in EXCEPTIONS[module].items() for name in names.split()}


def missing() -> Iterator[Missing]:
    """All names and arguments that fastreg lacks, exceptions included."""
    for module, (theirs, ours) in modules().items():
        for name in public(theirs):
            if not hasattr(ours, name):
                yield Missing(module, name)
                continue
            for argument in arguments(getattr(theirs, name)):
                if not accepts(getattr(ours, name), argument):
                    yield Missing(module, name, argument)


def arguments(function: Any) -> list[str]:
    """The arguments of a function or class by name."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p.name for p in given if p.name != "self" and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def accepts(function: Any, argument: str) -> bool:
    """Whether a function or class has an argument, or accepts it at its idle value."""
    from fastreg.internal.keras_arguments import _MODEL, idle_arguments

    if argument in arguments(function):
        return True
    if argument in _MODEL.get(getattr(function, "__name__", ""), {}):
        return True
    made = function if inspect.isclass(function) else inspect.signature(function).return_annotation
    return inspect.isclass(made) and inspect.isfunction(made.__init__) and argument in idle_arguments(made)


def allowed(one: Missing) -> str:
    """The reason why something is missing; empty if there is none."""
    if not one.argument:
        return excepted(one.module).get(one.name, "")
    lists = (ARGUMENTS.get(f"{one.module}.{name}", {}) for name in (one.name, "*"))
    return next((reason for known in lists for reason, names in known.items() if one.argument in names.split()), "")


if __name__ == "__main__":
    everything = list(missing())
    for module in EXCEPTIONS:
        of_module = [one for one in everything if one.module == module]
        print(f"{module}: missing {', '.join(str(one) for one in of_module if not allowed(one)) or 'nothing'}")
        for reason, names in EXCEPTIONS[module].items():
            print(f"  not there, {reason}: {names}")
