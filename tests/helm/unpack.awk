# Writes the files of a case below the current folder: what follows a line `-- NAME --` up to the next is the file NAME.
/^-- .* --$/ {
  if (file != "") close(file)
  file = substr($0, 4, length($0) - 6)
  folder = file
  if (sub("/[^/]*$", "", folder)) system("mkdir -p '" folder "'")
  printf "" > file
  next
}
file != "" { print > file }
