//! What is counted in a module before it is compiled: what the interpreter does not bound, or not as we want it.

use wasmparser::{
    BinaryReaderError, ElementItems, FunctionBody, Operator, Parser, Payload, TypeSectionReader,
};

use crate::ModuleError;
use crate::limits::{
    BLOCK_DEPTH_MAX, EXPORTS_MAX, FUNCTIONS_MAX, GLOBALS_MAX, IMPORTS_MAX, LOCALS_MAX, PARAMETERS_MAX,
    SEGMENTS_MAX, TABLE_ELEMENTS_MAX,
};

/// How much there is in a module.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Survey {
    /// Instructions of all functions.
    instructions: usize,
    /// Instructions of the longest function.
    longest: usize,
    elements: usize,
    module_len: usize,
}

impl Survey {
    /// Looks at a module that is valid.
    pub(crate) fn of(module: &[u8]) -> Result<Survey, ModuleError> {
        let mut survey = Survey { module_len: module.len(), ..Survey::default() };
        for payload in Parser::new(0).parse_all(module) {
            match payload? {
                Payload::StartSection { .. } => return Err(ModuleError::StartFunction),
                Payload::TypeSection(types) => check_types(types)?,
                Payload::ImportSection(imports) => bound(imports.count(), "imports", IMPORTS_MAX)?,
                Payload::FunctionSection(functions) => bound(functions.count(), "functions", FUNCTIONS_MAX)?,
                Payload::GlobalSection(globals) => bound(globals.count(), "globals", GLOBALS_MAX)?,
                Payload::ExportSection(exports) => bound(exports.count(), "exports", EXPORTS_MAX)?,
                Payload::DataSection(segments) => bound(segments.count(), "data segments", SEGMENTS_MAX)?,
                Payload::ElementSection(segments) => {
                    bound(segments.count(), "element segments", SEGMENTS_MAX)?;
                    for segment in segments {
                        survey.add_elements(match segment?.items {
                            ElementItems::Functions(functions) => functions.count(),
                            ElementItems::Expressions(_, expressions) => expressions.count(),
                        })?;
                    }
                }
                Payload::CodeSectionEntry(body) => survey.add_function(&body)?,
                _ => {}
            }
        }
        Ok(survey)
    }

    fn add_elements(&mut self, count: u32) -> Result<(), ModuleError> {
        self.elements = self.elements.saturating_add(count as usize);
        match self.elements {
            0..=TABLE_ELEMENTS_MAX => Ok(()),
            _ => Err(ModuleError::TooMany { what: "elements in segments", most: TABLE_ELEMENTS_MAX }),
        }
    }

    fn add_function(&mut self, body: &FunctionBody<'_>) -> Result<(), ModuleError> {
        let mut locals = 0_u64;
        for group in body.get_locals_reader()? {
            let (count, _) = group?;
            locals += u64::from(count);
        }
        if locals > LOCALS_MAX {
            return Err(ModuleError::TooMany { what: "locals in a function", most: LOCALS_MAX as usize });
        }
        let (mut instructions, mut depth) = (0, 0_usize);
        for operator in body.get_operators_reader()? {
            instructions += 1;
            match operator? {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => depth += 1,
                Operator::End => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > BLOCK_DEPTH_MAX {
                return Err(ModuleError::TooMany { what: "blocks in one another", most: BLOCK_DEPTH_MAX });
            }
        }
        self.instructions += instructions;
        self.longest = self.longest.max(instructions);
        Ok(())
    }

    /// About how many bytes the program takes, and not much less whatever it is: an instruction takes up to 32, and
    /// once more in the buffers that the compiler keeps, which have room for the longest function.
    pub(crate) fn memory_len(&self) -> usize {
        const LEN_MIN: usize = 32 * 1024;
        LEN_MIN + 4 * self.module_len + 32 * (self.instructions + self.longest + self.elements)
    }
}

fn bound(count: u32, what: &'static str, most: usize) -> Result<(), ModuleError> {
    if count as usize > most { Err(ModuleError::TooMany { what, most }) } else { Ok(()) }
}

/// Bounds the parameters and results of functions, and of blocks, which have such types too.
fn check_types(types: TypeSectionReader<'_>) -> Result<(), ModuleError> {
    for declared in types.into_iter_err_on_gc_types() {
        let declared = declared?;
        if declared.params().len() > PARAMETERS_MAX || declared.results().len() > PARAMETERS_MAX {
            return Err(ModuleError::TooMany {
                what: "parameters or results of a type",
                most: PARAMETERS_MAX,
            });
        }
    }
    Ok(())
}

impl From<BinaryReaderError> for ModuleError {
    fn from(error: BinaryReaderError) -> ModuleError {
        ModuleError::invalid(&error)
    }
}
