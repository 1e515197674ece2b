"""The job queue: jobs are rows, added in the transaction of the change that needs them."""
