//! Views as a whole: any cut gives one answer, the stored form says the same, questions are checked.
