//! Model errors, refusals and the shipped models.
use fleetwear::model::{
    compile::compile,
    shipped::{SHIPPED, standard_schema},
    spec::Model,
};
#[test]
fn shipped_models_compile() {
    for (name, _) in SHIPPED {
        let m = Model::load(name).unwrap();
        let c = compile(&m, &standard_schema()).unwrap();
        println!("{name} {} mechanisms {} inputs {:?}", c.tables.mechanisms, c.inputs.len(), c.tables.input_rows);
        println!("{:?}", c.drivers);
    }
}
