"""The rules that decide how λ acted in a run, in words and as code, and the evidence that they use."""

import math
from collections.abc import Callable
from dataclasses import dataclass

COLLAPSE, ATTENUATION, REGULARISER = "collapse", "attenuation", "regulariser"
LARGER_STEPS = "shorter weights, larger steps"
LITTLE, UNDECIDED, REFERENCE, NOT_APPLICABLE = "little effect", "undecided", "reference", "not applicable"

MOST_DEAD = 0.5  # share of the kernels of a stage
FADED = 1.0  # variance/ε: a change of scale passes a normalisation by 1 / (1 + variance/ε), here by half
INTACT = 10.0  # variance/ε: here by less than a tenth
HALVED = 0.5  # of the reference's variance/ε
NOTABLE = 1.5  # factor by which weights are shorter and a step turns them further
CHANGED = 0.1  # of the reference's held-out loss
FEWEST_EPOCHS = 6  # the evidence uses three of them or more, and weights need time to shrink
NONE = float("nan")


@dataclass(frozen=True)
class RuleEvidence:
    """The evidence of a run; NaN and '' stand for unknown values.

    Values are medians over the last quarter of the epochs (at least three) that the run and its reference have in
    common; those that end in `_ratio` are over the reference's. `collapsed` and `dead_kernels` are of the run's own
    last epoch. Stages are groups of layers as in layers.tsv; a stage is normalised when batch normalisation follows.

    Attributes:
        varies: whether λ varies in the study.
        reference: the run it is compared with, '' if there is none; the run itself if it is the reference.
        is_reference: whether it has the smallest λ of the runs that differ from it in λ alone.
        reference_collapsed: whether one of the rules of collapse applies to the reference.
        head_only: whether λ applies to the embedding layer alone.
        epochs: number of epochs that both have.
        collapsed: whether all tiles have one embedding, on either split.
        dead_kernels: largest share of dead kernels in a stage, 0 to 1.
        dead_stage: that stage.
        variance_over_epsilon: variance before normalisation over its ε in the normalised stage where it is lowest; of
            the stages where it fell below half of the reference's, if one of them is below `FADED`.
        variance_ratio: the same stage against the reference.
        variance_stage: that stage.
        angular_update_ratio: how much further a step turns the weights of the normalised stage in which shortening and
            turning have both gone furthest: where the smaller one of this and of 1 / `weight_norm_ratio` is largest.
        weight_norm_ratio: the same stage.
        effective_learning_rate_ratio: the same stage; learning rate / ‖w‖.
        turned_stage: that stage.
        gradient_ratio: ‖∇penalty‖ / ‖∇triplet‖ in the stage where it is largest.
        gradient_stage: that stage.
        held_out_loss: mean over all held-out triplets; NaN, as all below, where the statistics of batch normalisation
            do not fit the weights in one of those epochs, of the run or its reference.
        held_out_change: its difference from the reference's, as a share of the reference's.
        gap: `held_out_loss` less the same of fixed training triplets, both in inference mode with the same weights and
            statistics.
        reference_gap: that of the reference.
        gap_change: the difference of the two, as a share of the reference's held-out loss.
    """

    varies: bool = True
    reference: str = ""
    is_reference: bool = False
    reference_collapsed: bool = False
    head_only: bool = False
    epochs: int = 0
    collapsed: bool = False
    dead_kernels: float = NONE
    dead_stage: str = ""
    variance_over_epsilon: float = NONE
    variance_ratio: float = NONE
    variance_stage: str = ""
    angular_update_ratio: float = NONE
    weight_norm_ratio: float = NONE
    effective_learning_rate_ratio: float = NONE
    turned_stage: str = ""
    gradient_ratio: float = NONE
    gradient_stage: str = ""
    held_out_loss: float = NONE
    held_out_change: float = NONE
    gap: float = NONE
    reference_gap: float = NONE
    gap_change: float = NONE

    @property
    def turned_further(self) -> bool:
        """Whether λ shortened the weights of a normalised stage and so let a step turn them further."""
        return self.angular_update_ratio >= NOTABLE and self.weight_norm_ratio <= 1 / NOTABLE

    @property
    def gap_shrank(self) -> bool:
        """Whether there was a gap between held-out and training loss, and less of it is left."""
        return self.reference_gap > 0 and self.gap_change <= -CHANGED

    @property
    def incomplete(self) -> bool:
        """Whether a number is missing that the rules from the regulariser on need, or was needed before them."""
        needed = (self.variance_over_epsilon, self.angular_update_ratio, self.weight_norm_ratio, self.gradient_ratio,
            self.held_out_change, self.gap_change)  # fmt: skip
        return any(map(math.isnan, needed))


@dataclass(frozen=True)
class Rule:
    """A rule: its name, its verdict, the rule in words, and whether it applies."""

    name: str
    verdict: str
    words: str
    holds: Callable[[RuleEvidence], bool]


# Before a normalisation only the direction of the weights matters, so that L2 acts through how far a step turns them
# (van Laarhoven 1706.05350; Zhang et al. 1810.12281; Kosson et al. 2305.17212). What compares a missing value is false.
RULES = (
    Rule("one λ", NOT_APPLICABLE, "λ does not vary in the study.", lambda e: not e.varies),
    Rule(
        "reference",
        REFERENCE,
        "The run has the smallest λ of those that differ from it in λ alone: it is their reference run.",
        lambda e: e.is_reference,
    ),
    Rule("no reference", UNDECIDED, "No run of the same seed differs from it in λ alone.", lambda e: not e.reference),
    Rule(
        "reference collapsed",
        UNDECIDED,
        "The reference run has collapsed itself, by one of the next two rules: no effect can be attributed to λ.",
        lambda e: e.reference_collapsed,
    ),
    Rule(
        "space collapsed",
        COLLAPSE,
        "After the last epoch all tiles have one embedding, and this is not so in the reference run.",
        lambda e: e.collapsed,
    ),
    Rule(
        "dead kernels",
        COLLAPSE,
        f"After the last epoch more than {MOST_DEAD * 100:g} % of the kernels of a stage are dead, and this is not so "
        "in the reference run.",
        lambda e: e.dead_kernels > MOST_DEAD,
    ),
    Rule(
        "head only",
        UNDECIDED,
        "λ applies to the embedding layer alone, which no batch normalisation follows: the rules below do not apply.",
        lambda e: e.head_only,
    ),
    Rule(
        "few epochs",
        UNDECIDED,
        f"The run and its reference run have fewer than {FEWEST_EPOCHS} epochs in common.",
        lambda e: e.epochs < FEWEST_EPOCHS,
    ),
    Rule(
        "faded stage",
        ATTENUATION,
        f"In a normalised stage variance/ε is below {FADED:g} and below {HALVED * 100:g} % of the reference run’s: "
        "normalisation compensates for less than half of any further shrinking of the weights, and the stage fades. "
        "This leads towards collapse.",
        lambda e: e.variance_over_epsilon < FADED and e.variance_ratio < HALVED,
    ),
    Rule(
        "turned further",
        LARGER_STEPS,
        "In a normalised stage the weights are shorter than in the reference run and a step turns them further, each "
        f"by a factor of {NOTABLE:g} or more, while variance/ε is at least {INTACT:g} in every normalised stage: λ "
        "changed a scale that does not matter, and with it the effective learning rate. A control run would show "
        "whether this explains the losses: the reference run’s λ, with a learning rate that turns the weights as far.",
        lambda e: e.turned_further and e.variance_over_epsilon >= INTACT,
    ),
    Rule(
        "turned and weakened",
        UNDECIDED,
        f"The same, but variance/ε is below {INTACT:g} in a stage: the scale begins to matter, and λ may act in both "
        "ways.",
        lambda e: e.turned_further and e.variance_over_epsilon < INTACT,
    ),
    Rule(
        "missing numbers",
        UNDECIDED,
        "A number is missing that the rules need, such as the ratio of the gradients where no triplet was active, or "
        "the losses where the statistics of batch normalisation do not fit the weights.",
        lambda e: e.incomplete,
    ),
    Rule(
        "smaller gap",
        REGULARISER,
        "The gap between the losses of held-out and of training triplets is smaller than the reference run’s by at "
        f"least {CHANGED * 100:g} % of its held-out loss, the held-out loss is no higher, and in every stage the "
        "gradient of the triplets is longer than that of the penalty.",
        lambda e: e.gap_shrank and e.held_out_change <= 0 and e.gradient_ratio < 1,
    ),
    Rule(
        "smaller gap, no gain",
        UNDECIDED,
        "The gap is as much smaller, but the held-out loss is higher or the penalty dominates the gradient of a "
        "stage: the network may simply learn less.",
        lambda e: e.gap_shrank,
    ),
    Rule(
        "nothing moved",
        LITTLE,
        f"Gap and held-out loss differ from the reference run’s by less than {CHANGED * 100:g} % of its held-out loss.",
        lambda e: abs(e.gap_change) < CHANGED and abs(e.held_out_change) < CHANGED,
    ),
    Rule("unexplained", UNDECIDED, "The losses differ, and none of the rules explains it.", lambda e: True),
)


def decide(evidence: RuleEvidence) -> Rule:
    """The first rule that applies."""
    return next(rule for rule in RULES if rule.holds(evidence))
