std = "lua54"
max_line_length = 140
unused_args = false
cache = false
exclude_files = { "build*", "lua/moonwire/meta" }
files["spec"] = { std = "+busted" }
