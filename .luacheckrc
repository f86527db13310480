std = "lua54"
max_line_length = 140
unused_args = false
cache = false
exclude_files = { "build*", "lua/moonwire/meta" }
ignore = { "211/_.*" }                      -- a name for what is only closed
files["spec"] = { std = "+busted", ignore = { "512" } }
