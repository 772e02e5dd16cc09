//! The supported combinations of model, posterior, objective and optimizer, as a short table.

use crate::cli::kind::Kind;
use crate::cli::screen::Screen;
use crate::cli::table::Table;
use crate::model::{Abilities, ModelConfig};
use crate::train::supported_combinations;
use std::collections::BTreeMap;

/// The dimensions of a combination, in the order of [`Product`].
const DIMENSIONS: [(Kind, &str); 4] = [
    (Kind::Model, "model"),
    (Kind::Posterior, "posterior"),
    (Kind::Objective, "objective"),
    (Kind::Optimizer, "optimizer"),
];

/// Names in each dimension; each name of one goes with each name of the others.
type Product = [Vec<String>; 4];

/// Supported combinations as products that do not overlap.
pub(super) struct Supported {
    products: Vec<Product>,
    /// The dimensions that are shown.
    shown: Vec<usize>,
}

impl Supported {
    /// Those with what `name` is; none where that is not part of a combination.
    pub(super) fn with(kind: Kind, name: &str) -> Option<Self> {
        let fixed = DIMENSIONS.iter().position(|(dimension, _)| *dimension == kind)?;
        let all = all().into_iter().filter(|combination| combination[fixed] == name);
        let single = all.map(|combination| combination.map(|name| vec![name])).collect();
        Some(Self {
            // Objectives first: a posterior has many, a model has few optimizers.
            products: [2, 3, 1, 0].into_iter().fold(single, merge),
            shown: (0..DIMENSIONS.len()).filter(|dimension| *dimension != fixed).collect(),
        })
    }

    /// The products as a table.
    pub(super) fn text(&self, screen: &Screen) -> String {
        let headings: Vec<&str> = self.shown.iter().map(|dimension| DIMENSIONS[*dimension].1).collect();
        let mut table = Table::new(&headings);
        for product in &self.products {
            let cells = self.shown.iter().map(|dimension| product[*dimension].join(", "));
            table.row(&cells.collect::<Vec<_>>());
        }
        table.render_on(screen)
    }

    /// The products as JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        let product = |product: &Product| -> serde_json::Map<_, _> {
            let shown = self.shown.iter().map(|dimension| {
                let name = DIMENSIONS[*dimension].1.to_owned();
                (name, serde_json::Value::from(product[*dimension].clone()))
            });
            shown.collect()
        };
        self.products.iter().map(product).collect()
    }
}

/// Every supported combination of names.
fn all() -> Vec<[String; 4]> {
    let abilities = |(model, _): (String, String)| -> Option<(String, Abilities)> {
        // The closed form of `conditional_mixture` needs settings; see its keys.
        let config: ModelConfig = toml::from_str(&format!("kind = {model:?}")).ok()?;
        Some((model, config.abilities()))
    };
    let models = Kind::Model.entries().into_iter().filter_map(abilities);
    let combinations = models.flat_map(|(model, abilities)| {
        supported_combinations(abilities).into_iter().map(move |supported| {
            let names = [supported.posterior, supported.objective, supported.optimizer].map(str::to_owned);
            let [posterior, objective, optimizer] = names;
            [model.clone(), posterior, objective, optimizer]
        })
    });
    combinations.collect()
}

/// Joins products that differ in one dimension alone.
fn merge(products: Vec<Product>, dimension: usize) -> Vec<Product> {
    let mut order: Vec<Product> = Vec::new();
    let mut joined: BTreeMap<Product, Vec<String>> = BTreeMap::new();
    for mut product in products {
        let names = std::mem::take(&mut product[dimension]);
        if !joined.contains_key(&product) {
            order.push(product.clone());
        }
        joined.entry(product).or_default().extend(names);
    }
    let with = |mut product: Product| {
        product[dimension] = joined.get(&product).cloned().unwrap_or_default();
        product
    };
    order.into_iter().map(with).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The products hold every supported combination once, and no other.
    #[test]
    fn products_are_the_combinations() {
        for (position, (kind, _)) in DIMENSIONS.into_iter().enumerate() {
            for (name, _) in kind.entries() {
                let supported = Supported::with(kind, &name).expect("a dimension");
                let mut listed = Vec::new();
                for [models, posteriors, objectives, optimizers] in &supported.products {
                    for model in models {
                        for posterior in posteriors {
                            for objective in objectives {
                                let with =
                                    |optimizer: &String| [model, posterior, objective, optimizer].map(String::clone);
                                listed.extend(optimizers.iter().map(with));
                            }
                        }
                    }
                }
                let expected: BTreeSet<_> = all().into_iter().filter(|names| names[position] == name).collect();
                assert_eq!(listed.len(), expected.len(), "{name}");
                assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected, "{name}");
                assert!(supported.products.len() <= 20, "{name}: {}", supported.products.len());
            }
        }
    }
}
