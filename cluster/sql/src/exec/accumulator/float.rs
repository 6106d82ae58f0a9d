//! Sums of floats and of the squares of their distances from the average, as Youngs and Cramer compute them.

use cluster_numeric::Spread;

use super::divisor;
use crate::bind::Regression;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::types::Datum;

/// 22003 if a sum of finite numbers is none.
pub(super) fn refuse_overflow(sum: f64, parts: &[f64]) -> SqlResult<()> {
    if sum.is_infinite() && parts.iter().all(|part| part.is_finite()) {
        return Err(SqlError::new(SqlState::OUT_OF_RANGE, "value out of range: overflow"));
    }
    Ok(())
}

/// What is known of the numbers so far.
#[derive(Clone, Default)]
pub(super) struct Single {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Single {
    pub(super) fn add(&mut self, value: f64) -> SqlResult<()> {
        let before = self.sum;
        self.count += 1.0;
        self.sum += value;
        if self.count > 1.0 {
            let distance = value * self.count - self.sum;
            self.squares += distance * distance / (self.count * (self.count - 1.0));
            if self.sum.is_infinite() || self.squares.is_infinite() {
                refuse_overflow(f64::INFINITY, &[before, value])?;
                self.squares = f64::NAN;
            }
        } else if !value.is_finite() {
            self.squares = f64::NAN;
        }
        Ok(())
    }

    pub(super) fn average(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    pub(super) fn variance(&self, spread: Spread) -> Option<f64> {
        divisor(spread, self.count).map(|divisor| self.squares / divisor)
    }
}

/// What is known of the pairs so far.
#[derive(Clone, Default)]
pub(super) struct Pairs {
    y: Single,
    x: Single,
    products: f64,
}

impl Pairs {
    pub(super) fn add(&mut self, y: f64, x: f64) -> SqlResult<()> {
        let before = (self.y.squares, self.x.squares);
        self.y.add(y)?;
        self.x.add(x)?;
        let count = self.x.count;
        if count > 1.0 {
            let (distance_x, distance_y) = (x * count - self.x.sum, y * count - self.y.sum);
            // Postgres multiplies here, where it divides for single numbers: the last digits show.
            let scale = 1.0 / (count * (count - 1.0));
            self.products += distance_x * distance_y * scale;
            if self.y.squares.is_finite() && self.x.squares.is_finite() {
                self.y.squares = before.0 + distance_y * distance_y * scale;
                self.x.squares = before.1 + distance_x * distance_x * scale;
            }
        } else if !x.is_finite() || !y.is_finite() {
            self.products = f64::NAN;
        }
        Ok(())
    }

    pub(super) fn result(&self, what: Regression) -> Datum {
        let count = self.x.count;
        let (xx, yy, xy) = (self.x.squares, self.y.squares, self.products);
        let known = count > 0.0;
        let value = match what {
            Regression::Count => return Datum::Int8(count as i64),
            Regression::SquaresX => known.then_some(xx),
            Regression::SquaresY => known.then_some(yy),
            Regression::Products => known.then_some(xy),
            Regression::AverageX => self.x.average(),
            Regression::AverageY => self.y.average(),
            Regression::Covariance(spread) => divisor(spread, count).map(|divisor| xy / divisor),
            Regression::Correlation => (known && xx != 0.0 && yy != 0.0).then(|| xy / libm::sqrt(xx * yy)),
            Regression::Determination => match () {
                _ if !known || xx == 0.0 => None,
                _ if yy == 0.0 => Some(1.0),
                _ => Some(xy * xy / (xx * yy)),
            },
            Regression::Slope => (known && xx != 0.0).then(|| xy / xx),
            Regression::Intercept => {
                (known && xx != 0.0).then(|| (self.y.sum - self.x.sum * xy / xx) / count)
            }
        };
        value.map_or(Datum::Null, Datum::Float8)
    }
}
