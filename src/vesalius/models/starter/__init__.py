"""The embedded model: `starter.Starter` puts together its eyes, what they located, the scene text and its voice."""
