"""The toolkit that makes models: data, architectures, training, evaluation, export. The only room that imports torch."""
