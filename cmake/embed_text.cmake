# Turns a text file into a C++ constant: cmake -DINPUT= -DOUTPUT= -DNAME= -P this
#
# HTML comments, indentation and empty lines stay behind.
file(READ "${INPUT}" text)
string(REGEX REPLACE "<!--([^-]|-[^-])*-->" "" text "${text}")
string(REGEX REPLACE "\n[ \n]+" "\n" text "${text}")
file(WRITE "${OUTPUT}" "// From ${INPUT}; do not edit.
namespace sinter::trainer {
extern const char ${NAME}[];
const char ${NAME}[] = R\"text(${text})text\";
} // namespace sinter::trainer
")
