# From audio to report: what λ does to the embedding space that a triplet network learns. `make help` lists the commands.
#
# results/datasets/<dataset>/clips.tsv                    one row per clip that can be used
# results/datasets/<dataset>/rejected.tsv                 one row per clip that cannot, and why
# results/datasets/<dataset>/audio/                       made here for the demo data set only, with audio.sha256
# results/datasets/<dataset>/download/                    where the config says so: archives/ with <archive>.md5,
#                                                         unpacked/<archive>.tsv, and audio/, all of them unpacked
# results/features/<dataset>/<recipe>/shards/<k>.h5       temporary
# results/features/<dataset>/<recipe>/archives/           where no audio is kept: <archive>.h5, and <archive>.tsv, what was
#                                                         seen of its audio
# results/features/<dataset>/<recipe>/features.h5         all frames of all clips, once; or a link to the same path below
#                                                         the features_store that the config names
# results/features/<dataset>/<recipe>/shared.tsv          where they lie there, if they were made here
# results/<study>/runs.tsv                                one row per space: run, arm, replicate, …, then every setting
# results/<study>/models/<run>/                           embedder.weights.h5, history.tsv, layers.tsv
# results/<study>/embeddings/<space>.h5                   <space>: a run, a reference (untrained_seed~…, mean_logmel),
#                                                         or one that the config's `spaces` names
# results/<study>/probes/<space>/                         by_epoch.tsv; <probe>.tsv and <probe>_confusion.tsv of the others
# results/<study>/geometry/                               <space>.tsv, <space>_spectrum.tsv, <space>_centroids.tsv
# results/<study>/similarity/                             pairs.tsv, map.tsv, moves.tsv; spaces/<space>.h5, made from
# results/<study>/tables/*.tsv                            tidy: one row per (run, split, measure)
# results/<study>/tables/claims.tsv                       one row per claim of the study's claims file
# results/<study>/tables/protocols.tsv                    the ranking here and in the study that compare_with names
# results/<study>/figures/*.{svg,png}
# results/<study>/viewer/                                 points.tsv, coordinates.tsv, neighbours.tsv, predictions.tsv;
#                                                         pictures.webp, sound.tsv, attribution.txt; viewer.html, index.html
# results/<study>/report/index.html                       one file, opens offline
# results/<study>/exports/                                embeddings.parquet or .csv; projector/ for TensorBoard;
#                                                         models/<run>/: embedder.keras, README.md, embedder.onnx
# results/launch.json                                     who runs here, or ran last; launch.lock, the owner's lock
# results/logs/… results/benchmarks/… results/receipts/…  the same paths again, one file per job
#
# Beside each large file lies its digest (<file>.sha256). Jobs depend on the digest, so that a `touch` redoes nothing.

from snakemake.utils import min_version

min_version("9.27")


configfile: workflow.source_path("config.yaml")


# Only with `--sdm apptainer`; see envs/Containerfile.
container: "envs/lambdascape.sif"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/datasets.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/embeddings.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/geometry.smk"
include: "workflow/rules/similarity.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/viewer.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/exports.smk"


rule all:
    default_target: True
    input:
        study.page,
        study.exported,
        study.features_store.receipts,
    localrule: True
