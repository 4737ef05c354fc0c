"""The config of a study: one field for each key, with default, unit, bounds, description and published value.

The config reference (config/README.md), the JSON schema for editors and Table 1 of the report are made of these fields.
The functions of the library take its blocks, so that names and types of settings are checked where they are used.
Light, because it is read at every start.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, Self, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, WrapValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from lambdascape.config.keys import (
    AUDIO,
    COMPUTING,
    DATA_AND_MODEL,
    JUDGING,
    PROBES,
    REPRESENTATION,
    STAGES,
    TRAINING,
    always,
    beyond,
    block,
    key,
    less,
    more,
    several,
)
from lambdascape.core.errors import InputError

NAME = r"^[A-Za-z0-9][A-Za-z0-9.-]*$"
# Folders under results/ that are no study.
RESERVED = ("datasets", "features", "logs", "benchmarks", "receipts", "checkpoints", "locks")


class ValueRule:
    """A rule that pydantic does not have.

    Args:
        check: gets the value, returns it, and raises PydanticCustomError where the rule is broken.
        schema: the rule in words of JSON Schema, for editors.
    """

    def __init__(self, check: Callable[[Any], Any], **schema: Any) -> None:
        self.check = check
        self.schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, core: core_schema.CoreSchema, handler: Any) -> dict[str, Any]:
        found: dict[str, Any] = handler(core)
        return found | self.schema


def _each_once(values: list[Any]) -> list[Any]:
    seen: set[Any] = set()
    for value in values:
        found = _hashable(value)
        if found in seen:
            raise PydanticCustomError("each_once", "must name each value once")
        seen.add(found)
    return values


def _hashable(value: Any) -> Any:
    """A value for comparison: 1 and 1.0 are equal, 1 and true are not."""
    if isinstance(value, dict):
        return tuple(sorted((name, _hashable(inner)) for name, inner in value.items()))
    return type(value).__name__ if isinstance(value, bool) else "", value


def _not_empty(value: Any) -> Any:
    if not value:
        raise PydanticCustomError("empty", "must not be empty")
    return value


def _not_reserved(value: str) -> str:
    if value in RESERVED:
        raise PydanticCustomError("reserved", "must not be the name of a folder of the workflow")
    return value


def _whole(value: Any) -> Any:
    """An integer where a whole number is written as 2.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _as_written(value: Any, check: Callable[[Any], float]) -> Any:
    """A checked number, an integer where it was written as one: 2 and 2.0 give different texts of `params`."""
    huge = isinstance(value, int) and abs(value) > 10**300  # more than a float can hold
    check(math.copysign(1e300, 1 if value > 0 else -1) if huge else value)
    return value


EACH_ONCE = ValueRule(_each_once, uniqueItems=True)
NOT_EMPTY = ValueRule(_not_empty, minProperties=1)
Whole = Annotated[int, BeforeValidator(_whole)]
Number = Annotated[float, WrapValidator(_as_written)]
Text = Annotated[str, MinLen(1)]
Name = Annotated[str, StringConstraints(pattern=NAME)]
Seed = Annotated[Whole, Ge(0), Le(4294967295)]
Fraction = Annotated[Number, Gt(0), Le(0.5)]


class Block(BaseModel):
    """A block of the config. Unknown keys, text for numbers and numbers that are not finite are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)
    reruns: ClassVar[str] = "report"  # the first stage that a change of one of its keys runs again
    is_open: ClassVar[bool] = False  # values that jobs get may lack keys and have others

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.reruns not in STAGES:
            raise ValueError(f"{cls.__name__}: reruns must be one of {', '.join(STAGES)}; got {cls.reruns!r}")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """The block of plain values that the check of the config has accepted, as the params of a job hold them.

        Values are not checked again: those that plugins add would be refused, for a job does not read plugins. No
        default is filled in, for the params of a job must hold all that it depends on.

        Args:
            values: key to value; of a block that holds blocks, these as mappings.

        Raises:
            InputError: a key is missing or unknown. Where the block `is_open`, because plugins add keys or files hold
                blocks of older versions, a missing key is no attribute, and an unknown one is.
        """
        fields = cls.model_fields
        unknown, missing = [key for key in values if key not in fields], [key for key in fields if key not in values]
        if not cls.is_open and (unknown or missing):
            got = ", ".join([*(f"no {key}" for key in missing), *unknown])
            raise InputError(f"settings of {cls.__name__}: must have the keys {', '.join(fields)}; got {got}")
        made = cls.__new__(cls)
        found = {
            key: as_annotated(value, fields[key].annotation if key in fields else None) for key, value in values.items()
        }
        for name, value in (("__dict__", found), ("__pydantic_fields_set__", set(found))):
            object.__setattr__(made, name, value)
        for name in ("__pydantic_extra__", "__pydantic_private__"):
            object.__setattr__(made, name, None)
        return made

    def plain(self) -> dict[str, Any]:
        """Its keys and values, blocks in it as mappings: what `of` was given."""
        return {key: value.plain() if isinstance(value, Block) else value for key, value in self.__dict__.items()}


def as_annotated(value: Any, annotation: Any) -> Any:
    """A plain value in the form of an annotation: a mapping becomes a block where the annotation names one.

    Args:
        value: a value of a config or of the params of a job.
        annotation: such as `Knn`, `Knn | None`, `list[Triplets]` or `dict[str, Knn]`; others leave the value as it is.

    Raises:
        InputError: see `Block.of`.
    """
    for kind in _alternatives(annotation):
        inner = get_args(kind)
        if isinstance(value, Mapping) and isinstance(kind, type) and issubclass(kind, Block):
            return kind.of(value)
        if isinstance(value, Mapping) and get_origin(kind) in (dict, Mapping) and len(inner) == 2:
            return {name: as_annotated(one, inner[1]) for name, one in value.items()}
        if isinstance(value, list) and get_origin(kind) in (list, Sequence) and inner:
            return [as_annotated(one, inner[0]) for one in value]
    return value


def block_of(field: FieldInfo) -> type[Block] | None:
    """The block that a field holds, which may be left out by null; None for a field that holds a value."""
    kinds = _alternatives(field.annotation)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Block)), None)


def leaves(model: type[Block], before: str = "") -> Iterator[tuple[str, FieldInfo, type[Block]]]:
    """Every key that holds a value: where it stands, such as `training.margin`, its field and its block.

    Args:
        model: the model of a config, or one of its blocks.
        before: what stands before the names of the keys of `model`.
    """
    for name, field in model.model_fields.items():
        inner = block_of(field)
        if inner is None:
            yield f"{before}{name}", field, model
        else:
            yield from leaves(inner, f"{before}{name}.")


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


class Demo(Block):
    """How the demo data set is made; a change makes it anew."""

    reruns = "datasets"
    seed: Seed = key(1, "Seed of everything that is sampled.")
    classes: Annotated[
        list[
            Literal["absence", "cooking", "dishwashing", "social_activity", "vacuum_cleaner", "watching_tv", "working"]
        ],
        MinLen(2),
        EACH_ONCE,
    ] = key(
        ["absence", "cooking", "dishwashing", "social_activity", "vacuum_cleaner", "watching_tv", "working"],
        "The classes, each a mixture of sources of its own.",
    )
    sessions_per_class: Whole = key(
        5, "Sessions of each class, each in a room of its own; at least folds.", {"ge": 2, "le": 1000}, unit="sessions"
    )
    nodes: Whole = key(
        2, "Recorders of the same moments; one session has only the first.", {"ge": 1, "le": 100}, unit="nodes"
    )
    channels: Whole = key(2, "Microphones of a node.", {"ge": 1, "le": 64}, unit="channels")
    clip_s: Number = key(10.0, "Length of a clip.", {"ge": 0.1, "le": 600}, unit="s")
    shortest_session: Whole = key(
        1, "Length of the shortest session of each class.", {"ge": 1, "le": 10000}, unit="clips"
    )
    longest_session: Whole = key(
        6, "Length of the longest session of each class.", {"ge": 1, "le": 10000}, unit="clips"
    )
    folds: Whole = key(
        4, "Folds of the evaluation setup, each with every class in its test part.", {"ge": 2, "le": 100}, unit="folds"
    )


class Dataset(Block):
    """The audio: where it is, how it is read, how it is cited."""

    reruns = "datasets"
    name: Name = key(
        "demo",
        "Name of the folder of this data set; studies of the same audio share it.",
        reruns="all",
        reported=False,
    )
    adapter: Literal["demo", "dcase2018_task5", "tau2019", "tau2020", "tau2022", "esc50", "urbansound8k", "folder"] = (
        key("demo", "The layout of the audio; demo synthesises its own audio.", reported=False)
    )
    path: Text | None = key(
        None,
        "Folder of the audio, for every adapter but demo; of a published data set also the folder above it. Relative "
        "to the working directory. null where the audio is downloaded.",
        reported=False,
    )
    download: bool = key(
        False, "Whether the archives of the data set are downloaded, checked and unpacked under results/."
    )
    keep_audio: bool = key(
        True,
        "Whether downloaded archives and their audio are kept. If not, each archive is checked, its features are "
        "extracted and it is deleted; another feature recipe downloads it again.",
    )
    archives: Text | None = key(
        None,
        "Folder of archives that are used, after their checksum, instead of a download; relative to the working "
        "directory.",
    )
    title: Text = key(
        "Synthetic rooms in the layout of DCASE 2018 Task 5",
        "Name of the data set in the report.",
        reruns="viewer",
        label="Data set",
        group=DATA_AND_MODEL,
        published="DCASE 2018 Task 5",
        why=(
            always("The question is put to other audio: λ may act otherwise there, so its values do not carry over."),
        ),
    )
    licence: Text = key(
        "made by this workflow, free to use",
        "Licence of the audio in the report.",
        reruns="viewer",
        also="license",
        reported=False,
    )
    citation: Text | None = key(
        None,
        "How the data set is cited, in the report and in the model cards; null for no citation.",
        reruns="exports",
        reported=False,
    )
    redistributable: bool = key(
        False,
        "Whether the licence allows the audio to be passed on, in part and re-encoded; then the report contains sound. "
        "The audio of the demo always may be, that of DCASE 2018 Task 5 never.",
        reruns="viewer",
    )
    folds: Whole = key(
        4,
        "Folds made by session where the data set has none.",
        {"ge": 2, "le": 100},
        unit="folds",
        label="Folds made by session, where the data name none",
        counts=True,
        group=DATA_AND_MODEL,
    )
    channels: Literal["mean", "first", "each"] = key(
        "mean",
        "What is used of a file with several channels; each makes every microphone a clip of its own.",
        label="Channels heard: the mean, the first, or each by itself",
        group=AUDIO,
        published="mean",
        why=(always("What several microphones hear is not mixed, as the mean of them would do."),),
    )
    on_bad_clip: Literal["reject", "fail"] = key(
        "reject",
        "What happens at a clip that cannot be used, such as a truncated one: reject lists it with the rule that it "
        "breaks, fail stops.",
    )
    max_rejected_fraction: Number = key(
        0.2, "Fraction of the clips that may be rejected; more stops the run.", {"ge": 0, "le": 1}
    )
    demo: Demo = block(Demo)


class ReadingSettings(Block):
    """What decides how a folder of audio is read: keys of `dataset`, and the plugins; no block of the config."""

    adapter: str
    folds: int
    channels: Literal["mean", "first", "each"]
    on_bad_clip: Literal["reject", "fail"]
    max_rejected_fraction: float
    plugins: list[str]


class FeatureRecipe(Block):
    """The keys of `features` that decide its numbers. Files keep them; those of an older version may lack some."""

    reruns = "features"
    is_open = True
    sr: Whole = key(
        16000,
        "Sample rate of the features; audio of another rate is resampled.",
        {"ge": 1000, "le": 192000},
        unit="Hz",
        label="Sample rate",
        group=AUDIO,
        published=16000,
        why=(always("The rate at which this audio is heard."),),
    )
    n_fft: Whole = key(
        1024,
        "Length of the Fourier transform.",
        {"ge": 16, "le": 65536},
        unit="samples",
        label="FFT size",
        group=REPRESENTATION,
        published=1024,
        why=(always("Another resolution in frequency."),),
    )
    win_length: Whole = key(
        480,
        "Length of the periodic Hann window, at most n_fft.",
        {"ge": 16, "le": 65536},
        unit="samples",
        label="Frame length",
        group=REPRESENTATION,
        published=480,
        why=(always("Another window of the spectra."),),
    )
    hop_length: Whole = key(
        320,
        "Samples from one frame to the next.",
        {"ge": 1, "le": 65536},
        unit="samples",
        label="Frame step",
        group=REPRESENTATION,
        published=160,
        why=(
            more("Fewer frames a second: half the frames take half the time."),
            less("More frames a second than the published study has."),
        ),
    )
    n_mels: Whole = key(
        40,
        "Number of mel bands.",
        {"ge": 1, "le": 512},
        unit="bands",
        label="Number of mel bins",
        counts=True,
        group=REPRESENTATION,
        published=128,
        why=(
            less("Fewer mel bands cost less time and disk; the baseline of DCASE 2018 Task 5 has 40."),
            more("More mel bands than the published study has."),
        ),
    )
    fmin: Number = key(
        50,
        "Lower edge of the lowest band, below fmax.",
        {"ge": 0, "le": 96000},
        unit="Hz",
        label="Lowest mel frequency",
        group=REPRESENTATION,
        published=50,
        why=(always("Another range of frequencies."),),
    )
    fmax: Number = key(
        8000,
        "Upper edge of the highest band, at most half the sample rate.",
        {"gt": 0, "le": 96000},
        unit="Hz",
        label="Highest mel frequency",
        group=REPRESENTATION,
        published=8000,
        why=(always("Another range of frequencies."),),
    )
    htk: bool = key(
        True,
        "The mel scale: HTK's (true) or Slaney's.",
        label="HTK's mel scale",
        group=REPRESENTATION,
        published=True,
    )
    filterbank: Literal["librosa", "tensorflow"] = key(
        "librosa",
        "The mel filters: librosa.filters.mel (slopes straight over Hz, each filter of area 1) or TensorFlow's "
        "linear_to_mel_weight_matrix (slopes straight over HTK's mel scale, each filter of height 1).",
        label="Mel filter bank",
        group=REPRESENTATION,
        published="tensorflow",
        why=(always("The filters that other software for audio has; they hardly differ but in their scale."),),
    )
    log_offset: Number = key(
        1.0e-6,
        "Added to the mel magnitude before the natural logarithm.",
        {"gt": 0, "le": 1},
        label="Added before the logarithm",
        group=REPRESENTATION,
        published=1e-6,
    )


class FeatureSettings(FeatureRecipe):
    """The log-mel spectrogram, in librosa's terms; a change makes another set of features beside the former."""

    n_shards: Whole = key(
        4, "Parallel jobs of the extraction; a change repeats it.", {"ge": 1, "le": 1000}, unit="jobs", reported=False
    )


class Split(Block):
    """Which fold is held out."""

    test_fold: Text = key(
        "fold1",
        "The fold that is held out of training and on which probes are scored.",
        reruns="models",
        label="Fold held out",
        group=AUDIO,
        published="fold1",
        why=(always("Another data set has other folds, or another fold is held out."),),
    )
    probe_folds: Literal["held_out", "all"] = key(
        "held_out",
        "Whether the converged probe is also scored on the other folds, whose audio the network was trained on; then "
        "no fold may be called train, validation, test or mean, which are names of splits in its tables.",
        reruns="probes",
        label="Folds on which the converged probe is scored",
        group=PROBES,
    )


class Triplets(Block):
    """Tiles, and which of them make a triplet."""

    reruns = "models"
    tile_s: Number = key(
        2.0,
        "Length of one network input, a whole number of hops.",
        {"gt": 0, "le": 3600},
        unit="s",
        label="Length of a tile",
        group=AUDIO,
        published=5,
        why=(
            less("Shorter tiles: a clip must hold an anchor and a neighbour, and a smaller tile costs less."),
            more("Longer tiles than the published ones."),
        ),
    )
    neighbourhood_s: Number = key(
        4.0,
        "Largest distance from the start of an anchor to the start of its neighbour, at least tile_s.",
        {"gt": 0, "le": 86400},
        unit="s",
        also="neighborhood_s",
        label="Range of neighbours",
        group=AUDIO,
        published=5,
        why=(always("It goes with the length of a tile, which it may not fall short of."),),
        costs_time=False,
    )
    distant: Literal["other_clip", "other_session"] = key(
        "other_clip",
        "Where distant tiles come from: any other clip, or a clip of another session.",
        label="Distant tile from",
        group=AUDIO,
        published="other_clip",
        why=(always("Distant tiles never share session or moment with their anchor; the published ones may."),),
        costs_time=False,
    )


class Network(Block):
    """The embedding network and the penalties on it."""

    reruns = "models"
    is_open = True
    input: Literal["logmel", "mfcc"] = key(
        "logmel",
        "Input of the network: the stored log-mel frames, or MFCCs computed from them.",
        label="Feature extractor",
        group=REPRESENTATION,
        published="logmel",
        why=(always("Another input of the same frames; the author’s other studies compare them."),),
    )
    n_mfcc: Whole = key(
        13,
        "Coefficients of each frame, the lowest first, where the input is mfcc; at most features.n_mels.",
        {"ge": 1, "le": 1024},
        unit="coefficients",
        label="Number of MFCC bins, where they are the input",
        counts=True,
        group=REPRESENTATION,
        published=13,
    )
    architecture: Literal["resnet18", "resnet34", "resnet50"] = key(
        "resnet18",
        "Residual network of 18, 34 or 50 layers; the last has bottleneck blocks.",
        label="Model",
        group=DATA_AND_MODEL,
        published="resnet18",
        why=(always("Another depth: more or fewer weights for λ to hold."),),
    )
    width: Whole = key(
        8,
        "Filters of the stem; the stages have 1, 2, 4 and 8 times as many.",
        {"ge": 1, "le": 1024},
        unit="filters of the stem",
        label="Width of the network",
        group=DATA_AND_MODEL,
        published=64,
        why=(
            less("A narrower network: its time and weights fall with the square of the width, so that a CPU does."),
            more("A wider network than the published one."),
        ),
    )
    conv_biases: bool = key(
        True,
        "Whether convolutions have biases, to which λ then applies too.",
        label="Convolutions have biases",
        group=DATA_AND_MODEL,
        published=True,
        why=(always("A bias before a batch normalisation changes nothing that it gives."),),
    )
    dropout: Number = key(
        0.1,
        "Fraction of the pooled values that are dropped in training.",
        {"ge": 0, "lt": 1},
        label="Dropout before the embedding layer",
        group=DATA_AND_MODEL,
        published=0.5,
        why=(less("Less of another regulariser beside λ; a narrow network cannot spare half of its units."),),
        costs_time=False,
    )
    embedding_dim: Whole = key(
        64,
        "Dimensions of the embedding space.",
        {"ge": 2, "le": 4096},
        unit="dimensions",
        label="Embedding dimension",
        counts=True,
        group=DATA_AND_MODEL,
        published=64,
    )
    l2: Number = key(
        0.01,
        "λ, the factor of the penalty λ·Σw² over kernels and biases, where the sweep sets none.",
        {"ge": 0, "le": 1000000},
        label="L2 regularisation factor λ",
        group=DATA_AND_MODEL,
        published=[1.0, 0.1, 0.01],
        why=(
            beyond("The published values, and others beside them: three cannot show where a response is flat."),
            always("Another grid of λ, or none."),
        ),
        costs_time=False,
    )
    l2_scope: Literal["convs", "head", "all"] = key(
        "convs",
        "The layers to which λ applies: the convolutions (convs), the embedding layer (head) or both (all).",
        label="λ holds for",
        group=DATA_AND_MODEL,
        published="convs",
        why=(always("λ holds for other layers than the published convolutions."),),
        costs_time=False,
    )
    embedding_norm_penalty: Number = key(
        0.0,
        "η: the loss gets η times the mean squared length of the embeddings before they are scaled to length 1.",
        {"ge": 0, "le": 1000000},
        label="Penalty η on the length of embeddings",
        group=DATA_AND_MODEL,
        published=0.0,
        why=(more("A second regulariser, which the published study has not."),),
        costs_time=False,
    )


class Training(Block):
    """How a network is trained."""

    reruns = "models"
    is_open = True
    backend: Literal["tensorflow", "jax"] = key(
        "tensorflow",
        "Backend of Keras; JAX is for accelerators, on CPUs it is slower.",
        label="Keras computes with",
        group=COMPUTING,
        published="tensorflow",
        why=(always("The same network and losses on another backend of Keras."),),
        shapes_untrained=True,
    )
    device: Literal["auto", "gpu", "cpu"] = key(
        "auto",
        "A GPU where the backend finds one (auto), only a GPU (gpu), or the CPU.",
        label="Device",
        group=COMPUTING,
        costs_time=False,
        shapes_untrained=True,
    )
    precision: Literal["float32", "bfloat16"] = key(
        "float32",
        "Arithmetic of the layers in training; weights, distances, loss and penalty are float32 in any case.",
        label="Precision of the layers",
        group=COMPUTING,
        published="float32",
        why=(always("Arithmetic of 16 bits is faster on accelerators; weights and losses keep 32."),),
    )
    deterministic: bool = key(
        False,
        "Only operations that give the same bits each time on a GPU, too; slower.",
        label="Deterministic operations",
        group=COMPUTING,
        shapes_untrained=True,
    )
    epochs: Whole = key(
        8,
        "Passes over the anchors.",
        {"ge": 1, "le": 100000},
        unit="epochs",
        label="Epochs",
        counts=True,
        group=TRAINING,
        published=[50, 30],
        why=(
            less("Fewer epochs, for the time that a training takes; curves may not have come to rest."),
            more("More epochs than any published arm had."),
            always("One budget for all runs; the published arms had 50 and 30 epochs, which mixes λ with the budget."),
        ),
        budget=True,
        costs_time=False,
    )
    early_stopping: Annotated[Whole, Ge(1), Le(100000)] | None = key(
        None,
        "Epochs without a new minimum of the training triplets' mean hinge, after which training ends; null is never.",
        unit="epochs",
        label="Stopped after epochs without a new low",
        counts=True,
        group=TRAINING,
        costs_time=False,
    )
    loss: Literal["triplet"] = key(
        "triplet",
        "The loss that is minimised; triplet is the hinge on squared distances. Plugins add others.",
        label="Loss",
        group=TRAINING,
        published="triplet",
    )
    batch_size: Whole = key(
        64,
        "Triplets in a step; the last step of an epoch may have fewer.",
        {"ge": 1, "le": 65536},
        unit="triplets",
        label="Batch size",
        group=TRAINING,
        published=128,
        why=(
            less("Smaller batches, so that an epoch of a small data set has more than a few steps."),
            more("Larger batches, which an accelerator computes in nearly the same time."),
        ),
        budget=True,
        shapes_untrained=True,
    )
    margin: Number = key(
        1.0,
        "Margin of the hinge on squared distances, which are at most 4 on the unit sphere.",
        {"gt": 0, "le": 1000},
        label="Margin",
        group=TRAINING,
        published=1.0,
        why=(several("The margin is asked about here."),),
        costs_time=False,
    )
    reduction: Literal["nonzero", "all"] = key(
        "nonzero",
        "Mean over the active triplets (nonzero) or over all of them.",
        label="Loss is the mean over",
        group=TRAINING,
        published="nonzero",
        why=(always("The mean over all triplets can be compared between runs; that over active ones cannot."),),
    )
    passes: Literal["separate", "joint"] = key(
        "separate",
        "One forward pass for each role with its own batch statistics (separate) or one for all (joint).",
        label="Passes of anchor, neighbour, distant",
        group=TRAINING,
        published="separate",
        why=(always("One pass: anchors, neighbours and distant tiles share their batch statistics."),),
        shapes_untrained=True,
    )
    batch_statistics: Literal["recomputed", "moving"] = key(
        "recomputed",
        "What batch normalisation uses in inference: statistics of the final weights over the training tiles "
        "(recomputed), or the moving averages of Keras (moving), which trail behind the weights.",
        label="Batch statistics in inference",
        group=TRAINING,
        published="moving",
        why=(
            always(
                "Moving averages trail behind the weights, the more so the larger λ is: the statistics are those of "
                "the weights that are judged."
            ),
        ),
        costs_time=False,
    )
    learning_rate: Number = key(
        5.0e-4,
        "Learning rate of Adam.",
        {"gt": 0, "le": 10},
        label="Learning rate",
        group=TRAINING,
        published=1e-5,
        why=(
            more("A step of 1e-5 leaves the weights near their beginning in as few steps as a small study has."),
            less("Smaller steps than the published ones."),
        ),
        budget=True,
        costs_time=False,
    )
    lr_schedule: Literal["constant", "exponential", "cosine"] = key(
        "constant",
        "The learning rate stays (constant), falls in steps (exponential) or falls to 0 at the end (cosine).",
        label="Schedule of the learning rate",
        group=TRAINING,
        budget=True,
        costs_time=False,
    )
    lr_decay_steps: Whole = key(
        7500,
        "Training steps from one fall of the learning rate to the next, where the schedule is exponential.",
        {"ge": 1, "le": 10**12},
        unit="steps",
        label="Learning rate decays every",
        group=TRAINING,
        published=7500,
        budget=True,
        costs_time=False,
    )
    lr_decay_rate: Number = key(
        0.95,
        "Factor of the learning rate at each fall, where the schedule is exponential.",
        {"gt": 0, "le": 1},
        label="Factor of the decay",
        group=TRAINING,
        published=0.95,
        why=(always("Another schedule of the learning rate."),),
        budget=True,
        costs_time=False,
    )
    weight_decay: Number = key(
        0.0,
        "Decoupled weight decay (AdamW) of the kernels, not of biases and batch normalisation; 0 is plain Adam.",
        {"ge": 0, "le": 10},
        label="Decoupled weight decay",
        group=TRAINING,
        published=0.0,
        why=(more("Decoupled decay as a control: it shrinks weights without entering a gradient."),),
        costs_time=False,
    )
    tensorboard: bool = key(
        False, "Whether event files for TensorBoard are written beside history.tsv.", reported=False, costs_time=False
    )


class RunSettings(Block):
    """The swept blocks of one run; no block of the config, which has them side by side."""

    triplets: Triplets
    network: Network
    training: Training


class SweepSettings(Block):
    """The runs: every point of the sweep with every seed. `config_model` types the points by the swept blocks."""

    reruns = "models"
    axes: dict[str, list[Any] | None] = key(
        {"l2": [1.0, 0.1, 0.01]},
        "Values of the keys of triplets, network and training that vary; every combination is one arm. null drops an "
        "axis in an overlay.",
        reported=False,
    )
    arms: list[dict[str, Any]] | None = key(
        None,
        "Explicit settings, one mapping for each arm, which replace the axes. An arm may also set probe_epochs.",
        reported=False,
    )
    seeds: Annotated[list[Seed], MinLen(1), EACH_ONCE] = key(
        [1, 2],
        "Seeds of the runs; each arm is trained once with each.",
        label="Random seed",
        group=TRAINING,
        published=[1234],
        why=(
            several(
                "Several seeds: with one, nobody can tell λ from luck. TensorFlow was not seeded in the published code."
            ),
            always("One seed as in the published study, whose code did not hand it to TensorFlow."),
        ),
    )
    least_seeds: Whole = key(
        5,
        "Fewest seeds that protocol strict accepts; fewer than 5 say little about the spread over seeds.",
        {"ge": 1, "le": 1000},
        unit="seeds",
        reruns="report",
        reported=False,
    )


class ByEpoch(Block):
    """The published probe: a logistic layer trained by Adam, scored after every epoch."""

    reruns = "probes"
    epochs: Whole = key(
        20,
        "Epochs of the published probe.",
        {"ge": 1, "le": 100000},
        unit="epochs",
        label="Epochs of the probe",
        counts=True,
        group=PROBES,
        published=20,
        why=(always("Another budget of the published probe."),),
    )
    batch_size: Whole = key(
        64,
        "Tiles in a step of the published probe.",
        {"ge": 1, "le": 1000000},
        unit="tiles",
        label="Batch size of the probe",
        group=PROBES,
        published=384,
        why=(less("Smaller batches, so that an epoch of a small data set has more than a few steps."),),
    )
    learning_rate: Number = key(
        1.0e-2,
        "Learning rate of the published probe's Adam.",
        {"gt": 0, "le": 10},
        label="Learning rate of the probe",
        group=PROBES,
        published=1e-5,
        why=(
            more(
                "At the published 1e-5 a weight travels 0.17 at most in all epochs: the probe ends before it has "
                "learned."
            ),
        ),
    )
    double_softmax: bool | Annotated[list[bool], MinLen(1), EACH_ONCE] = key(
        True,
        "Whether the loss applies a second softmax to the probabilities; a list fits both.",
        label="Softmax applied twice",
        group=PROBES,
        published=True,
        why=(
            several("Both forms are fitted: the published cross-entropy takes a softmax of probabilities."),
            always("The plain softmax cross-entropy; the published one takes a softmax of probabilities."),
        ),
    )
    tiles: Literal["even", "triplets"] = key(
        "even",
        "Tiles of an epoch. even trains on each tile three times and scores each once; triplets trains on and scores "
        "the tiles of triplets that are sampled anew in every epoch, for which batch_size must be a multiple of 3.",
        label="Tiles of an epoch of the probe",
        group=PROBES,
        published="triplets",
        why=(always("Every tile counts alike; the published scores count tiles as often as triplets draw them."),),
    )


class Converged(Block):
    """Logistic regression, trained to convergence."""

    reruns = "probes"
    c_grid: Annotated[list[Annotated[Number, Gt(0), Le(1e12)]], MinLen(1), EACH_ONCE] = key(
        [0.01, 0.1, 1.0, 10.0, 100.0],
        "Inverse strengths of the logistic regression's penalty, of which validation sessions choose one.",
        label="Converged probe: inverse penalty C among",
        group=PROBES,
    )
    validation_fraction: Fraction = key(
        0.25,
        "Fraction of the training sessions on which the choice is made.",
        label="Share of training sessions that choose C",
        group=PROBES,
    )


class Knn(Block):
    """Nearest neighbours by cosine about the mean of the training tiles, and about the origin."""

    reruns = "probes"
    k_grid: Annotated[list[Annotated[Whole, Ge(1), Le(10000)]], MinLen(1), EACH_ONCE] = key(
        [1, 5, 10, 20, 50],
        "Numbers of neighbours that vote, of which validation sessions choose one.",
        label="Neighbours that vote: k among",
        group=PROBES,
    )
    max_tiles: Whole = key(
        50000,
        "Training tiles that can be neighbours; of more a random sample is used.",
        {"ge": 100, "le": 10000000},
        unit="tiles",
        label="Tiles that can be neighbours, at most",
        group=PROBES,
    )
    validation_fraction: Fraction = key(
        0.25,
        "Fraction of the training sessions on which the choice is made.",
        label="Share of training sessions that choose k",
        group=PROBES,
    )


class Mlp(Block):
    """Multilayer perceptron, chosen on a grid as in HEAR."""

    reruns = "probes"
    layers: Annotated[list[Annotated[Whole, Ge(1), Le(8)]], MinLen(1), EACH_ONCE] = key(
        ...,
        "Numbers of hidden layers, of which validation sessions choose one (HEAR: 1 and 2).",
        label="Hidden layers of the MLP probe among",
        group=PROBES,
    )
    width: Whole = key(
        ...,
        "Units of a hidden layer (HEAR: 1024).",
        {"ge": 1, "le": 65536},
        unit="units",
        label="Width of its layers",
        group=PROBES,
    )
    learning_rates: Annotated[list[Annotated[Number, Gt(0), Le(10)]], MinLen(1), EACH_ONCE] = key(
        ...,
        "Learning rates of Adam, of which validation sessions choose one (HEAR: 3.2e-3, 1.0e-3, 3.2e-4 and 1.0e-4).",
        label="Its learning rate among",
        group=PROBES,
    )
    batch_size: Whole = key(
        ...,
        "Tiles in a step (HEAR: 1024).",
        {"ge": 1, "le": 1000000},
        unit="tiles",
        label="Its batch size",
        group=PROBES,
    )
    max_epochs: Whole = key(
        ...,
        "Epochs of each fit, at most.",
        {"ge": 1, "le": 100000},
        unit="epochs",
        label="Its epochs, at most",
        counts=True,
        group=PROBES,
    )
    patience: Whole = key(
        ...,
        "Epochs without a better validation score that end a fit.",
        {"ge": 1, "le": 100000},
        unit="epochs",
        label="Stopped after epochs without a better validation score",
        counts=True,
        group=PROBES,
    )
    validation_fraction: Fraction = key(
        ...,
        "Fraction of the training sessions on which the choice is made.",
        label="Share of training sessions that choose them",
        group=PROBES,
    )


class FewShot(Block):
    """Logistic regression on few sessions of each class."""

    reruns = "probes"
    sessions: Annotated[list[Annotated[Whole, Ge(1), Le(1000000)]], MinLen(1), EACH_ONCE] = key(
        [1, 2, 5, 20],
        "Numbers of sessions of each class; of a class with fewer all are used.",
        unit="sessions",
        label="Few-shot probe: sessions of each class",
        counts=True,
        group=PROBES,
    )
    draws: Whole = key(
        5, "Random samples of sessions for each number.", {"ge": 1, "le": 1000}, label="Its draws of them", group=PROBES
    )
    c: Number = key(
        1.0, "Inverse strength of the penalty.", {"gt": 0, "le": 1e12}, label="Its inverse penalty C", group=PROBES
    )
    seed: Seed = key(
        1, "Seed of the samples, which are the same for every space.", label="Seed of its draws", group=PROBES
    )


class Probes(Block):
    """What is learned from the embeddings to see what they contain."""

    reruns = "probes"
    is_open = True
    by_epoch: ByEpoch = block(ByEpoch)
    converged: Converged = block(Converged)
    knn: Knn | None = block(
        Knn,
        "Nearest neighbours by cosine about the mean of the training tiles, and about the origin; null leaves the "
        "probe out.",
    )
    mlp: Mlp | None = key(
        None,
        "Multilayer perceptron, chosen on a grid as in HEAR; null leaves the probe out. It takes minutes for "
        "each space.",
    )
    few_shot: FewShot | None = block(
        FewShot, "Logistic regression on few sessions of each class; null leaves the probe out."
    )


class Geometry(Block):
    """How a space is measured."""

    reruns = "geometry"
    max_tiles: Whole = key(
        4000,
        "Tiles of the test fold, sampled evenly over the labels, on which spaces are measured and compared; the time "
        "grows with the square.",
        {"ge": 10, "le": 100000},
        unit="tiles",
        label="Tiles that geometry and similarity look at, at most",
        group=JUDGING,
    )
    draw_seed: Seed = key(
        1,
        "Seed of the sample of those tiles, which is the same for every run, and of what else the measures sample.",
        label="Seed of the draw of those tiles",
        group=JUDGING,
    )


class Viewer(Block):
    """The interactive maps in the report."""

    reruns = "viewer"
    points: Whole = key(
        2000,
        "Tiles on each map, the same on all; sampled evenly over classes and sessions, those of the audit first.",
        {"ge": 10, "le": 5000},
        unit="tiles",
    )
    seed: Seed = key(
        1, "Seed of the sample of those tiles, of UMAP, and of the clips that are audited where there are very many."
    )
    neighbours: Whole = key(
        5,
        "Nearest neighbours that are marked for each tile, and that must all have another label for the audit to list "
        "a clip.",
        {"ge": 1, "le": 20},
        unit="tiles, clips",
        also="neighbors",
    )
    umap_neighbours: Annotated[Whole, Ge(2), Le(200)] | None = key(
        15,
        "Size of the neighbourhood in UMAP; null leaves that view out.",
        unit="tiles",
        also="umap_neighbors",
    )


class Statistics(Block):
    """Intervals and tests."""

    reruns = "tables"
    resamples: Whole = key(
        1000,
        "Resamples of the bootstrap over sessions.",
        {"ge": 100, "le": 1000000},
        unit="resamples",
        label="Resamples of the bootstrap over sessions",
        counts=True,
        group=JUDGING,
    )
    confidence: Number = key(
        0.95,
        "Coverage of the intervals; 1 minus it is the level of the tests.",
        {"gt": 0.5, "lt": 1},
        label="Confidence of the intervals",
        group=JUDGING,
    )


class Exports(Block):
    """Files for other tools, under results/<study>/exports/."""

    reruns = "exports"
    always: Annotated[list[Literal["table", "projector", "models"]], EACH_ONCE] = key(
        ["table"],
        "What every run of the study exports: table, the embeddings of all spaces; projector, files of TensorBoard's "
        "projector; models, the network of each run with its card. The target `exports` makes all of them.",
    )
    table: Literal["parquet", "csv"] = key("parquet", "Format of the table of embeddings.")
    onnx: bool = key(False, "Whether each exported model is also written as ONNX, and compared with the original.")


class Config(Block):
    """A study. `config_model` makes the model that checks a config; this class is its type."""

    study: Annotated[Name, ValueRule(_not_reserved, **{"not": {"enum": list(RESERVED)}})] = key(
        "demo", "Name of the study; its results are under results/<study>/.", reruns="all", reported=False
    )
    protocol: Literal["free", "as_published", "strict"] = key(
        "free",
        "What the study promises; the check of the config enforces it. strict: one schedule and one budget for all "
        "runs and at least sweep.least_seeds seeds. as_published: the published study's probe (two softmaxes, tiles of "
        "triplets that are sampled anew), while arms may differ in everything. free: neither.",
        reported=False,
    )
    compare_with: Name | None = key(
        None,
        "Name of another study under results/, run before, whose ranking of the swept values is plotted beside that of "
        "this study; null for none.",
        reruns="tables",
        reported=False,
    )
    plugins: Annotated[list[Text], EACH_ONCE] = key(
        [],
        "Python files that add probes, losses, networks, figures and the like; relative to the working "
        "directory. Their code is run: list only files that you trust.",
        reported=False,
    )
    dataset: Dataset = block(Dataset)
    features: FeatureSettings = block(FeatureSettings)
    features_store: Text | None = key(
        None,
        "Folder that users share, in which finished features are kept by data set and recipe; null for none. Features "
        "that are there are checked and linked to instead of being computed; those of users with permission to write "
        "are put there.",
        reruns="features",
        reported=False,
    )
    split: Split = block(Split)
    triplets: Triplets = block(Triplets)
    network: Network = block(Network)
    training: Training = block(Training)
    sweep: SweepSettings = block(SweepSettings, "The runs: every arm, which is a point of the sweep, with every seed.")
    probes: Probes = block(Probes)
    geometry: Geometry = block(Geometry)
    viewer: Viewer = block(Viewer, reported=False)
    spaces: dict[Name, Text] = key(
        {},
        "Your own embeddings of the same clips, evaluated as further baselines: name to an HDF5 or Parquet file, "
        "relative to the working directory.",
        reruns="embeddings",
        reported=False,
    )
    claims: Text | None = key(
        "workflow/claims/regularisation.yaml",
        "File of claims to be tested (docs/reference/claims.md), relative to the working directory or to the "
        "checkout; null for none.",
        reruns="claims",
        reported=False,
    )
    statistics: Statistics = block(Statistics)
    exports: Exports = block(Exports, reported=False)
