"""From files on disk to batches: modalities, volumes, cohort and splits, slices, records, pipeline."""
