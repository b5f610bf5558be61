//! An inspection as text for a terminal.

use std::fmt;

use super::{CapacityBalance, Inspection};

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.name)?;
        for text in [&self.description, &self.attribution].into_iter().filter(|text| !text.is_empty()) {
            writeln!(f, "{text}")?;
        }
        writeln!(f, "\ninstance     {}", self.fingerprint)?;
        writeln!(
            f,
            "providers    {:>14}  ({} with limited capacity)",
            self.providers, self.limited_providers
        )?;
        writeln!(f, "demands      {:>14}", self.demands)?;
        writeln!(f, "orders       {:>14}  of {} operations", self.orders, self.operations.len())?;
        if self.periods > 1 {
            writeln!(f, "periods      {:>14}", self.periods)?;
        }
        if let Some(places) = self.places {
            let detours = if self.metric { "no detour is shorter" } else { "some detours are shorter" };
            writeln!(f, "places       {places:>14}  ({detours} than the direct way)")?;
        }
        self.write_costs(f)?;
        write!(f, "{}", self.concerns)?;
        self.write_balance(f)?;
        if let Some(map) = &self.map {
            write!(f, "\n{map}")?;
        }
        Ok(())
    }
}

impl Inspection {
    fn write_costs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "budgets      {:>14.2} $", self.budgets)?;
        if let Some(random) = self.random_cost {
            writeln!(
                f,
                "random       {random:>14.2} $  mean cost of assigning orders to providers at random"
            )?;
        }
        if let Some(exact) = self.exact_optimum() {
            return writeln!(f, "optimum      {exact:>14.2} $  exact: each demand takes its shortest path");
        }
        if let Some(unlimited) = self.unlimited_optimum {
            writeln!(
                f,
                "unlimited    {unlimited:>14.2} $  exact optimum if capacities and budgets were unlimited"
            )?;
        }
        writeln!(
            f,
            "bound        {:>14.2} $  certified: no plan costs less (unserved demands at their budget)",
            self.bound
        )
    }

    fn write_balance(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.operations.iter().map(|one| one.name.chars().count()).max().unwrap_or(0).max(9);
        writeln!(
            f,
            "\n{:<width$}  orders  offers  work (min)  capacity (min)  capacity / work",
            "operation"
        )?;
        for one in &self.operations {
            write!(f, "{:<width$}  {:>6}  {:>6}", one.name, one.orders, one.offers)?;
            write_capacity(f, one.balance)?;
        }
        write!(f, "{:<width$}  {:>6}  {:>6}", "all", self.orders, "")?;
        write_capacity(f, self.balance)
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn write_capacity(f: &mut fmt::Formatter<'_>, balance: CapacityBalance) -> fmt::Result {
    write!(f, "  {:>10}", balance.work)?;
    match balance.capacity {
        Some(capacity) if balance.work > 0 => {
            writeln!(f, "  {capacity:>14}  {:>15.2}", capacity as f64 / balance.work as f64)
        }
        Some(capacity) => writeln!(f, "  {capacity:>14}"),
        None => writeln!(f, "  {:>14}", "unlimited"),
    }
}
