//! What the input looks like: its format, the names of its fields, and what makes two records the
//! same click.

use std::fmt;

/// How a record is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// An object.
    #[default]
    Json,
    /// A row; without `columns`, each partition begins with a header.
    Csv {
        /// The names of the columns, in order.
        columns: Option<Vec<String>>,
    },
}

/// The input's name of each field; a field whose name is empty is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The ad; always read.
    pub ad_id: String,
    /// When the click happened; always read.
    pub click_timestamp: String,
    /// Who clicked.
    pub user_id: String,
    /// From which address.
    pub ip: String,
    /// From which country.
    pub country: String,
    /// The click's own id.
    pub click_id: String,
    /// When the click was logged.
    pub log_time: String,
}

impl Default for Fields {
    /// Each field under its own name, without a log time.
    fn default() -> Fields {
        Fields {
            ad_id: "ad_id".into(),
            click_timestamp: "click_timestamp".into(),
            user_id: "user_id".into(),
            ip: "ip".into(),
            country: "country".into(),
            click_id: "click_id".into(),
            log_time: String::new(),
        }
    }
}

/// What makes two records the same click.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// The time and `click_id`; without one, the time, the ad, the user and the address.
    #[default]
    Auto,
    /// Nothing: every record is a click of its own.
    None,
    /// The fields of these names in the input, one of them the time.
    Of(Vec<String>),
}

/// What the input looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// How a record is written.
    pub format: Format,
    /// The names of its fields.
    pub fields: Fields,
    /// What makes two records the same click.
    pub identity: Identity,
}

impl Schema {
    /// Checks that every click can have an ad and a time, and that an identity holds the time.
    ///
    /// # Errors
    ///
    /// Names the first field without which no record can be a click.
    pub fn check(&self) -> Result<(), SchemaError> {
        for (field, name) in self.required() {
            if name.is_empty() {
                return Err(SchemaError::Unmapped(field));
            }
        }
        if let Identity::Of(names) = &self.identity
            && !names.contains(&self.fields.click_timestamp)
        {
            return Err(SchemaError::Timeless(self.fields.click_timestamp.clone()));
        }
        match &self.format {
            Format::Csv { columns: Some(columns) } => self.check_columns(columns),
            _ => Ok(()),
        }
    }

    /// Checks that rows of `columns` can be clicks.
    ///
    /// # Errors
    ///
    /// Names the first column that is there twice or that is needed and not there.
    pub fn check_columns(&self, columns: &[String]) -> Result<(), SchemaError> {
        let named = columns.iter().enumerate().filter(|(_, name)| !name.is_empty());
        for (at, name) in named {
            if columns[..at].contains(name) {
                return Err(SchemaError::Twice(name.clone()));
            }
        }
        let listed = match &self.identity {
            Identity::Of(names) => names.as_slice(),
            _ => &[],
        };
        let listed = listed.iter().map(|name| ("identity", name));
        match self.required().into_iter().chain(listed).find(|(_, name)| !columns.contains(name)) {
            Some((field, name)) => Err(SchemaError::NoColumn { field, column: name.clone() }),
            None => Ok(()),
        }
    }

    fn required(&self) -> [(&'static str, &String); 2] {
        [("ad_id", &self.fields.ad_id), ("click_timestamp", &self.fields.click_timestamp)]
    }
}

/// Why no record can be a click under a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaError {
    /// A required field has an empty name.
    Unmapped(&'static str),
    /// The identity lacks the input's field of this name, which is the time.
    Timeless(String),
    /// Two columns have this name.
    Twice(String),
    /// A column is needed and not there.
    NoColumn {
        /// What needs it.
        field: &'static str,
        /// Its name.
        column: String,
    },
    /// The header is no row of text.
    Header(String),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaError::Unmapped(field) => write!(f, "{field} must have a name in the input"),
            SchemaError::Timeless(name) => {
                write!(f, "identity: {name:?} is missing, the time is a part of every identity")
            }
            SchemaError::Twice(column) => write!(f, "two columns are named {column:?}"),
            SchemaError::NoColumn { field, column } => {
                write!(f, "{field}: there is no column {column:?}")
            }
            SchemaError::Header(fault) => write!(f, "the header is no row: {fault}"),
        }
    }
}

impl std::error::Error for SchemaError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn refused(schema: &Schema) -> String {
        schema.check().unwrap_err().to_string()
    }

    #[test]
    fn ad_and_time_must_have_names() {
        let mut schema = Schema::default();
        assert_eq!(schema.check(), Ok(()));
        schema.fields.click_timestamp.clear();
        assert_eq!(refused(&schema), "click_timestamp must have a name in the input");
        schema.fields.ad_id.clear();
        assert_eq!(refused(&schema), "ad_id must have a name in the input");
    }

    #[test]
    fn an_identity_holds_the_time_under_its_name_in_the_input() {
        let mut schema =
            Schema { identity: Identity::Of(strings(&["page", "ts"])), ..Schema::default() };
        assert_eq!(
            refused(&schema),
            "identity: \"click_timestamp\" is missing, the time is a part of every identity"
        );
        schema.fields.click_timestamp = "ts".into();
        assert_eq!(schema.check(), Ok(()));
    }

    #[test]
    fn columns_are_there_once_and_suffice() {
        let identity = Identity::Of(strings(&["page", "click_timestamp"]));
        for (columns, expected) in [
            (vec!["click_timestamp", "page"], "ad_id: there is no column \"ad_id\""),
            (vec!["ad_id", "page"], "click_timestamp: there is no column \"click_timestamp\""),
            (vec!["ad_id", "click_timestamp"], "identity: there is no column \"page\""),
            (vec!["ad_id", "x", "x"], "two columns are named \"x\""),
        ] {
            let format = Format::Csv { columns: Some(strings(&columns)) };
            let schema = Schema { format, identity: identity.clone(), ..Schema::default() };
            assert_eq!(refused(&schema), expected);
        }
        let columns = strings(&["", "ad_id", "", "click_timestamp", "page"]);
        assert_eq!(Schema { identity, ..Schema::default() }.check_columns(&columns), Ok(()));
    }
}
