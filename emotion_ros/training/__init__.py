"""The toolkit that makes models: data, training, evaluation, export. The only room that imports torch."""
