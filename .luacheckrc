std = "lua54"
max_line_length = 140
unused_args = false
cache = false
exclude_files = { "build*", "lua/moonwire/meta" }
ignore = { "211/_.*" }                      -- a name for what is only closed
files["spec"] = { std = "+busted", ignore = { "512" } }
files["spec/attack"] = { std = "+busted", ignore = { "512" }, max_line_length = 200 }   -- an attempt reads best as a row of a table
