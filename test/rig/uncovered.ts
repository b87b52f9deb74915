// Loaded before tap's own loaders (.taprc): they would read each file once more, and its source map, to note for coverage what was loaded.
process.env._TAPJS_PROCESSINFO_EXCLUDE_ = '/./'
