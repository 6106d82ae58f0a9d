//! Which function or operator a call means, by the types of its arguments: Postgres's rules (chapter "Type Conversion"
//! of its manual).

use alloc::vec::Vec;

use crate::cast::{self, Context};
use crate::function::{Function, Kind, Mode, Signature};
use crate::types::{Category, DataType};

/// What a call means.
pub(super) struct Resolved {
    pub(super) function: Function,
    /// What the arguments are to be made.
    pub(super) arguments: Vec<DataType>,
    pub(super) result: DataType,
}

impl Resolved {
    /// Whether nothing says what the type is that the function takes any of. What makes arrays takes it for text.
    pub(super) fn is_undetermined(&self, types: &[Option<DataType>]) -> bool {
        let signature = self.function.0;
        let is_any = |kind: &Kind| matches!(kind, Kind::AnyElement | Kind::AnyArray);
        let mut given = signature.arguments.iter().zip(types).filter(|(kind, _)| is_any(kind)).peekable();
        let makes_arrays = ["array_append", "array_prepend", "array_cat", "array_re", "array_position"];
        given.peek().is_some()
            && given.all(|(_, given)| given.is_none())
            && !makes_arrays.iter().any(|name| signature.name.starts_with(name))
    }
}

/// Why a call means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing fits.
    Undefined,
    /// Several do, equally well.
    Ambiguous,
}

struct Candidate {
    signature: &'static Signature,
    declared: Vec<DataType>,
    element: DataType,
}

/// Whether a value becomes one of another type without being asked to.
fn is_implicit(from: DataType, to: DataType) -> bool {
    cast::context(from, to) == Some(Context::Implicit)
}

impl Candidate {
    fn of(signature: &'static Signature, types: &[Option<DataType>]) -> Option<Candidate> {
        let kinds = kinds(signature, types.len())?;
        let has_array = kinds.contains(&Kind::AnyArray);
        let is_test = signature.result == Kind::Is(DataType::Bool);
        let mut element: Option<DataType> = None;
        for (kind, given) in kinds.iter().zip(types) {
            let next = match (kind, given) {
                (Kind::AnyElement, Some(given)) => *given,
                (Kind::AnyArray, Some(given)) => given.element()?,
                (Kind::AnyNonArray, Some(DataType::Array(_))) => return None,
                _ => continue,
            };
            element = Some(match element {
                None => next,
                Some(known) if known == next => known,
                // Comparisons want arrays of one type; what makes arrays finds a common one.
                Some(_) if is_test => return None,
                Some(known) if is_implicit(next, known) => known,
                Some(known) if is_implicit(known, next) => next,
                Some(_) => return None,
            });
        }
        let element = element.unwrap_or(DataType::Text);
        if has_array && element.array().is_none() {
            return None;
        }
        let declare = |(kind, given): (&Kind, &Option<DataType>)| match kind {
            Kind::Is(data_type) => *data_type,
            Kind::AnyElement => element,
            Kind::AnyArray => element.array().unwrap_or(element),
            Kind::Any | Kind::AnyNonArray => given.unwrap_or(DataType::Text),
        };
        let declared: Vec<DataType> = kinds.iter().zip(types).map(declare).collect();
        let fits =
            |(to, from): (&DataType, &Option<DataType>)| from.is_none_or(|from| is_implicit(from, *to));
        declared.iter().zip(types).all(fits).then_some(Candidate { signature, declared, element })
    }

    fn is_plain(&self, at: usize) -> bool {
        let last = self.signature.arguments.last();
        matches!(self.signature.arguments.get(at).or(last), Some(Kind::Is(_)))
    }

    /// How many arguments are of the very types that are declared; with `preferred`, or of preferred ones.
    fn matches(&self, types: &[Option<DataType>], preferred: bool) -> usize {
        let fits = |(at, given): (usize, &Option<DataType>)| {
            let (Some(given), Some(declared)) = (given, self.declared.get(at)) else { return false };
            self.is_plain(at)
                && (given == declared
                    || (preferred && declared.is_preferred() && declared.category() == given.category()))
        };
        types.iter().enumerate().filter(|argument| fits(*argument)).count()
    }

    /// The category of an argument; what takes any type has none of its own.
    fn category(&self, at: usize) -> Option<Category> {
        let declared = self.declared.get(at).filter(|_| self.is_plain(at));
        declared.map(|declared| declared.category())
    }

    fn is_preferred(&self, at: usize) -> bool {
        self.is_plain(at) && self.declared.get(at).is_some_and(|declared| declared.is_preferred())
    }

    fn resolved(self) -> Resolved {
        let result = match self.signature.result {
            Kind::Is(data_type) => data_type,
            Kind::AnyArray => self.element.array().unwrap_or(self.element),
            _ => self.element,
        };
        Resolved { function: Function(self.signature), arguments: self.declared, result }
    }
}

/// What the arguments of a call with so many of them are declared as; none if it takes another number.
fn kinds(signature: &Signature, count: usize) -> Option<Vec<Kind>> {
    let declared = signature.arguments;
    match (signature.mode, declared.split_last()) {
        (Mode::Variadic, Some((last, fixed))) if count > fixed.len() => {
            let rest = core::iter::repeat_n(*last, count - fixed.len());
            Some(fixed.iter().copied().chain(rest).collect())
        }
        (Mode::Variadic, _) => None,
        _ => (declared.len() == count).then(|| declared.to_vec()),
    }
}

/// The one of `signatures` that a call with arguments of `types` means; none is unknown.
pub(super) fn resolve(
    signatures: impl Iterator<Item = &'static Signature> + Clone,
    types: &[Option<DataType>],
    is_operator: bool,
) -> Result<Resolved, Failure> {
    let types: Vec<Option<DataType>> = types.iter().map(|given| given.map(DataType::base)).collect();
    let types = types.as_slice();
    // An operand of unknown type is first taken to be of the other's.
    if let ([Some(known), None] | [None, Some(known)], true) = (types, is_operator) {
        let both = [Some(*known), Some(*known)];
        let exact =
            |signature| Candidate::of(signature, &both).filter(|found| found.matches(&both, false) == 2);
        if let Some(found) = signatures.clone().find_map(exact) {
            return Ok(found.resolved());
        }
    }
    let mut candidates: Vec<Candidate> =
        signatures.filter_map(|signature| Candidate::of(signature, types)).collect();
    if candidates.len() > 1 {
        keep_best(&mut candidates, |candidate| candidate.matches(types, false));
    }
    if candidates.len() > 1 {
        keep_best(&mut candidates, |candidate| candidate.matches(types, true));
    }
    if candidates.len() > 1 {
        by_category(&mut candidates, types);
    }
    if candidates.len() > 1 {
        by_known_type(&mut candidates, types);
    }
    match candidates.len() {
        0 => Err(Failure::Undefined),
        1 => candidates.pop().map(Candidate::resolved).ok_or(Failure::Undefined),
        _ => Err(Failure::Ambiguous),
    }
}

fn keep_best(candidates: &mut Vec<Candidate>, score: impl Fn(&Candidate) -> usize) {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.retain(|candidate| score(candidate) == best);
}

/// Decides by the categories that unknown arguments could have: text if it is one of them, else the only one there is.
fn by_category(candidates: &mut Vec<Candidate>, types: &[Option<DataType>]) {
    let unknown: Vec<usize> =
        types.iter().enumerate().filter(|(_, given)| given.is_none()).map(|(at, _)| at).collect();
    let mut wanted = Vec::with_capacity(unknown.len());
    for at in &unknown {
        let mut categories = candidates.iter().map(|candidate| candidate.category(*at));
        let first = categories.next().flatten();
        let is_text = candidates.iter().any(|candidate| candidate.category(*at) == Some(Category::Text));
        let category = match () {
            _ if is_text => Some(Category::Text),
            _ if categories.all(|category| category == first) => first,
            _ => return,
        };
        let is_of = |candidate: &Candidate| candidate.category(*at) == category;
        let has_preferred =
            candidates.iter().any(|candidate| is_of(candidate) && candidate.is_preferred(*at));
        wanted.push((*at, category, has_preferred));
    }
    let fits = |candidate: &Candidate| {
        wanted.iter().all(|(at, category, has_preferred)| {
            candidate.category(*at) == *category && (!has_preferred || candidate.is_preferred(*at))
        })
    };
    if candidates.iter().any(fits) {
        candidates.retain(fits);
    }
}

/// If all known arguments are of one type, takes the unknown ones to be of it, too.
fn by_known_type(candidates: &mut Vec<Candidate>, types: &[Option<DataType>]) {
    let mut known = types.iter().flatten();
    let Some(first) = known.next() else { return };
    if types.iter().all(Option::is_some) || !known.all(|other| other == first) {
        return;
    }
    let all =
        |candidate: &Candidate| candidate.declared.iter().all(|declared| is_implicit(*first, *declared));
    if candidates.iter().filter(|candidate| all(candidate)).count() == 1 {
        candidates.retain(all);
    }
}
