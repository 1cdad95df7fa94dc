# Two to-do lists side by side.
#   autobee -C ana ls >ana; autobee -C ben ls >ben
#   LC_ALL=C awk -F '\t' -f lists.awk side=1 ana side=2 ben
#
# A line is item/ID/FIELD, tab, value; an item's fields stand together. Strings are bytes, so that every awk counts alike.

{ split($1, key, "/"); id = key[2]; field = key[3] }
key[1] != "item" { next }
!((side, id) in known) { known[side, id]; ids[side, ++count[side]] = id }
field == "note" { notes[side, id]++ }
{ value[side, id, field] = $2 }

function and_more(text) { return text == "" ? "" : ", " text }

function item(side, id,   list, number) {
  list = value[side, id, "list"]
  number = notes[side, id]
  return "[" (value[side, id, "done"] == "" ? " " : "x") "] " value[side, id, "text"] " (" \
    (list == "" ? "inbox" : list) and_more(value[side, id, "to"]) and_more(value[side, id, "due"]) \
    and_more(number ? number (number > 1 ? " notes" : " note") : "") ")"
}

# In 56 columns: a character may be several bytes, and all but its first one are \200 to \277.
function column(text,   copy, more) {
  copy = text
  more = gsub(/[\200-\277]/, "", copy)
  while (length(text) - more > 55) {
    if (text ~ /[\200-\277]$/) more--
    text = substr(text, 1, length(text) - 1)
  }
  sub(/[\300-\377]$/, "", text)
  return sprintf("%-" (56 + more) "s", text)
}

function next_item(side) {
  while (++at[side] <= count[side]) {
    if (value[side, ids[side, at[side]], "removed"] == "") return item(side, ids[side, at[side]])
  }
}

END {
  print column("Ana's list") "Ben's list"
  while ((left = next_item(1)) (right = next_item(2)) != "") print column(left) column(right)
}
