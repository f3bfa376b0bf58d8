//! The resolver with real folders and a real HTTP server.
