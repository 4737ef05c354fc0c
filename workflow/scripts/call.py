"""Call the function that the rule names in `params.task`."""

from lambdascape.jobs.call import run

run(snakemake)
