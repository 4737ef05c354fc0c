"""Let the nearest neighbours in one space vote."""

from lambdascape.jobs.job import job

with job(snakemake.log[0], snakemake.threads, snakemake.output, snakemake.input, snakemake.params):
    from lambdascape.probes.knn import fit_knn

    fit_knn(
        snakemake.input.embeddings,
        snakemake.params.test_fold,
        snakemake.params.settings,
        snakemake.params.seeds,
        snakemake.output.scores,
        snakemake.output.confusion,
    )
