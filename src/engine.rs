//! The conductor: reader → batches → backend → reducers → writer.
