"""What a study hands to other tools: tables of embeddings, projector files, trained embedders and their cards."""
