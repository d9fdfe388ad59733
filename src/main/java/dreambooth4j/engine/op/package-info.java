/** The ops: each file is one op, its forward, what it keeps and its backward. */
@NullMarked
package dreambooth4j.engine.op;

import org.jspecify.annotations.NullMarked;
