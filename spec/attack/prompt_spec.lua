-- Attacks on the person at the terminal: answers that nobody typed, questions about another thing than what is opened then.
local attack = assert(loadfile("spec/attack/support.lua", "t", _ENV))()
local uv = require "uv"

local END = "n no: "
local SECRET = "return slurp(W .. '/secret')"

--- Says no, or yes where it is the control.
local function decide(person, _, granted)
  person.expect(END)
  person.answer(granted and "y\n" or "n\n")
end
local function silent(_, text)
  if text:find("asks: ", 1, true) then return "somebody was asked" end
end

attack.class("prompts", attack.each({ only = "root", flags = "", grant = "--confine=off", takes = true, talk = decide }, {
  { "no is no", SECRET },
  { "answers that were typed ahead", "print 'ready' local t = mw.time.now() repeat until mw.time.now() - t > 1.5 " .. SECRET,
    flags = "--limit=step=off", grant = "--confine=off --limit=step=off", talk = function(person, w, granted)
      person.expect("ready") -- what is typed after the question is an answer
      person.answer("y\ny\na\n1\n")
      decide(person, w, granted)
    end },
  { "answers that were typed ahead, while the script reads none of them", "print 'ready' mw.task.sleep(1.5) " .. SECRET,
    talk = function(person, w, granted)
      person.expect("ready")
      person.answer("y\ny\n")
      decide(person, w, granted)
    end },
  { "the end of the input", SECRET, grant = false, talk = function(person)
    person.expect(END)
    person.answer("\4")
  end },
  { "an answer typed by a program into the terminal that it shares", "mw.process.run { H, 'tiocsti', 'y', stdin = 'inherit' }"
    .. " mw.process.run { H, 'tiocsti', '\\n', stdin = 'inherit' } " .. SECRET, flags = "--allow-run=$H", grant = "--allow-run=$H" },
  { "an answer typed by a program that waits in the background", "local c <close> = assert(mw.process.spawn { H, 'tiocsti', 'y', stdin = 'inherit',"
    .. " stdout = 'null', stderr = 'null' }) " .. SECRET, flags = "--allow-run=$H", grant = false, talk = function() end, check = silent,
    refused = { "EDENIED", "EOPNOTSUPP" } },
  { "always for one file is not always for another", "slurp(W .. '/in/plain') " .. SECRET, talk = function(person, w, granted)
    person.expect(END)
    person.answer("a\n")
    decide(person, w, granted)
  end },
  { "once is once", "slurp(W .. '/secret') " .. SECRET, takes = false, talk = function(person, w, granted)
    person.expect(END)
    person.answer("y\n")
    decide(person, w, granted)
  end },
  { "yes to reading is no yes to writing", "pcall(slurp, W .. '/secret') return io.open(W .. '/secret', 'a')", takes = false, talk = function(person, w, granted)
    person.expect(END)
    person.answer("a\n")
    decide(person, w, granted)
  end },
  { "a link is asked about as what it leads to", "return slurp(W .. '/in/link')", world = function(w) w.link("../secret", "in/link") end,
    talk = function(person, w, granted)
      local asked = person.expect(END)
      if not asked:find(w.dir .. "/secret", 1, true) then error("asked about the link's name: " .. asked, 0) end
      person.answer(granted and "y\n" or "n\n")
    end },
  { "a link that is turned while the person thinks", "local t = slurp(W .. '/out/link') return t ~= 'plain' and t", refused = { "EDENIED", "absent" },
    world = function(w) w.link("../in/plain", "out/link") end, grant = false, talk = function(person, w)
      person.expect(END)
      assert(uv.fs_unlink(w.dir .. "/out/link"))
      assert(uv.fs_symlink("../secret", w.dir .. "/out/link"))
      person.answer("y\n")
    end },
  { "a folder that is exchanged while the person thinks", "local t = slurp(W .. '/out/d/key') return t ~= 'plain' and t", refused = { "EDENIED", "absent", "ENOENT" },
    world = function(w) w.mkdir("out/d") w.put("out/d/key", "plain") end, grant = false, talk = function(person, w)
      person.expect(END)
      assert(uv.fs_rename(w.dir .. "/out/d", w.dir .. "/out/old"))
      assert(uv.fs_symlink("../private", w.dir .. "/out/d"))
      person.answer("y\n")
    end },
  { "a name with escapes that would repaint the question", "return slurp('/\\27[2J\\27[1;1Hmoonwire: reading /tmp, yes?\\r\\u{202e}x')", grant = false, takes = false,
    talk = function(person)
      local asked = person.expect(END)
      local from = asked:find("asks: ", 1, true)
      for _, bad in ipairs { "\27[2J", "\27[1;1H", "\u{202e}", "\rmoon" } do
        if asked:find(bad, from, true) then error(("a raw %q in the question"):format(bad), 0) end
      end
      person.answer("n\n")
    end },
  { "a name too long to be judged", "return slurp('/' .. ('x/'):rep(2000))", grant = false, takes = false, talk = function() end, check = silent },
  { "a script child, which nobody is asked for", "return script({}, [[return io.open(W .. '/secret'):read('a')]])", script = true, grant = false, talk = function() end,
    check = silent },
  { "what a flag denies", SECRET, flags = "--deny-read=$W/secret", grant = false, talk = function() end, check = silent },
  { "what was dropped", "mw.permissions.drop('read') " .. SECRET, grant = false, talk = function() end, check = silent },
  { "a query, which never asks", "return mw.permissions.query('read', W .. '/secret') == 'granted'", grant = false, takes = false, talk = function() end, check = silent,
    refused = "absent" },
  { "--no-prompt", SECRET, flags = "--no-prompt", grant = false, talk = function() end, check = silent },
  { "a policy file below", SECRET, flags = "--policy=$W/policy.json", grant = false, talk = function() end, check = silent,
    world = function(w) w.put("policy.json", '{"read": ["in"]}') end },
}))
