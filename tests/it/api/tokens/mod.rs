mod create;
mod delete;
mod find;
mod list;
